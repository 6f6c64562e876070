// The output of `--help`, `--version`, `config` and `completion`.
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mpserve } from './command.ts';

const root = path.join(import.meta.dirname, '../..');
const dist = (file: string) => import(path.join(root, 'dist', file));
let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(path.join(os.tmpdir(), 'mpserve-cli-'));
});
afterAll(() => rm(cwd, { recursive: true }));

test('--help names every flag, command and model, and fits 100 columns', async () => {
  const { code, stdout, stderr } = await mpserve(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { optionTable, listOptions } = await dist('config/options.js');
  const { models } = await dist('strategies/models.js');
  for (const { flag, positional } of listOptions(optionTable(Object.values(models)))) {
    if (!positional) expect(stdout).toContain(`--${flag} `);
  }
  for (const name of Object.keys(models)) expect(stdout).toMatch(new RegExp(`^ {2}${name} +\\S`, 'm'));
  for (const name of ['serve', 'config', 'completion']) expect(stdout).toContain(`mpserve ${name} [`);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});

test('-h after a command prints the help of that command', async () => {
  const { code, stdout } = await mpserve(['config', '-h']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Usage: mpserve config \[app\] \[options\]\n/);
  expect(stdout).toContain('--json');
});

/** The help of each command, without a process for each: `bench`, `ctl reload`, … */
async function allHelp() {
  const [{ commands }, { commandHelp }, { ctlCommands }] = await Promise.all(
    ['cli/commands.js', 'cli/help.js', 'control/protocol.js'].map(dist),
  );
  const { optionTable, listOptions } = await dist('config/options.js');
  const models = Object.values((await dist('strategies/models.js')).models);
  const line = { commands, models, options: listOptions(optionTable(models)), switches: [] };
  const ctl: readonly [string, string][] = ctlCommands.map((argument: string) => ['ctl', argument]);
  const all = [...commands.map(({ name }: { name: string }) => [name]), ...ctl];
  return Promise.all(
    all.map(async ([name, argument]) => {
      const command = commands.find((one: { name: string }) => one.name === name);
      const help: string = await commandHelp(line, command, argument, 100);
      return { name: [name, argument].join(' ').trim(), line, command, help };
    }),
  );
}

test('the help of each command, and of each command of ctl, has two examples, and fits 100 columns', async () => {
  for (const { name, help } of await allHelp()) {
    const usage = name === 'serve' ? 'mpserve' : `mpserve ${name}`;
    expect(help).toMatch(new RegExp(`^Usage: ${usage}[ \\n]`));
    const [, shown = ''] = /\nExamples:\n((?: {2}.*\n)+)/.exec(help) ?? [];
    const two = [1, 2].flatMap(() => [expect.stringMatching(/^# \S/), expect.stringMatching(`${usage}\\b`)]);
    expect(shown.trim().split(/\n? {2}/), name).toEqual(two);
    expect(Math.max(...help.split('\n').map((line) => line.length)), name).toBeLessThanOrEqual(100);
  }
});

test('the examples have commands and flags that exist', async () => {
  const { examples } = await dist('cli/examples.js');
  const { readArguments } = await dist('config/argv.js');
  for (const { name, line, command, help } of await allHelp()) {
    expect(examples).toHaveProperty(name);
    for (const [, example = ''] of examples[name]) {
      expect(help).toContain(`\n  ${example}\n`);
      const [, call = ''] = example.match(/\bmpserve(( ('[^']*'|[^\s'|&<>()]+))+)/) ?? [];
      const words = call.trim().replaceAll("'", '').split(' ');
      const options = [...line.options, ...(command.options ?? [])];
      const given = await readArguments(words, options, command.switches ?? []);
      expect(given.words.join(' ')).toMatch(name === 'serve' ? /^\.\/server\.js$/ : new RegExp(`^${name}`));
    }
  }
});

test('the help of a command lists its own options first', async () => {
  for (const { name, command, help } of await allHelp()) {
    const { options = [], switches = [] } = command;
    if (name !== command.name || [...options, ...switches].length === 0) continue;
    const headings = [...help.matchAll(/^(\w.*):$/gm)].map(([, heading = '']) => heading);
    const [first] = headings.filter((heading) => !['Examples', 'Commands'].includes(heading));
    expect(first).toBe(`Options of mpserve ${name}`);
    const [own = ''] = help.slice(help.indexOf('Options of mpserve')).split('\n\n');
    for (const { flag } of [...options, ...switches]) expect(own).toMatch(new RegExp(`^ +--${flag} `, 'm'));
  }
});

test('a switch of one command of ctl is only in the help of this command and of ctl', async () => {
  const all = await allHelp();
  const having = (flag: string) => all.filter(({ help }) => help.includes(`--${flag} `)).map(({ name }) => name);
  expect(having('now')).toEqual(['ctl', 'ctl stop']);
  expect(having('check')).toEqual(['ctl', 'ctl status']);
  // It is an option of the server as well, with another meaning.
  expect(having('watch').filter((name) => /^ctl/.test(name))).toEqual(['ctl', 'ctl status', 'ctl workers']);
});

test('the help after a command of ctl is that of this command', async () => {
  const { code, stdout } = await mpserve(['ctl', 'scale', '--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Usage: mpserve ctl scale <4\|\+1\|-1> \[options\]\n/);
  expect(stdout).toContain('--control ');
  for (const flag of ['now', 'check', 'model']) expect(stdout).not.toContain(`--${flag} `);
});

test.each(['--version', '-v'])('%s prints the version', async (flag) => {
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  expect(await mpserve([flag])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('docs/options.md, docs/signals.md and docs/metrics.md are up to date', async () => {
  const pages = await import(path.join(root, 'scripts/pages.js'));
  const page = (name: string) => readFile(path.join(root, `docs/${name}.md`), 'utf8');
  const stale = 'stale: run "npm run docs"';
  expect(await page('options'), stale).toBe(pages.optionsPage());
  expect(await page('signals'), stale).toBe(pages.signalsPage());
  expect(await page('metrics'), stale).toBe(pages.metricsPage());
});

test('docs/options.md has every option once, and names the models in which it has no effect', async () => {
  const page = await readFile(path.join(root, 'docs/options.md'), 'utf8');
  const { optionTable, listOptions } = await dist('config/options.js');
  const { models } = await dist('strategies/models.js');
  for (const { env } of listOptions(optionTable(Object.values(models))))
    expect(page.split(`\`${env}\``)).toHaveLength(2);
  expect(page).toContain('Does nothing in ppc and tpc');
  expect(page).toContain('256 in ppc and tpc, 10000 in prefork, prethread and hybrid');
});

test('config prints each value with its source, in aligned columns', async () => {
  await writeFile(path.join(cwd, 'mine.json'), '{ "backlog": 7 }');
  const env = { MPSERVE_LOG_LEVEL: 'warn' };
  const { code, stdout } = await mpserve(['config', '--model', 'ppc', '--config', 'mine.json'], { cwd, env });
  expect(code).toBe(0);
  const rows = Object.fromEntries(stdout.split('\n').map((row) => [row.split(' ')[0], row.split(/ {2,}/).slice(1)]));
  expect(rows).toMatchObject({
    app: ['(the built-in demo app)', 'by default'],
    model: ['ppc', 'from --model'],
    logLevel: ['warn', 'from MPSERVE_LOG_LEVEL'],
    backlog: ['7', expect.stringMatching(/^in .*mine\.json$/)],
    maxConnections: ['256', 'by the model ppc'],
    headerTimeout: ['20s', 'by default'],
    bind: ['127.0.0.1:8080', 'by default'],
  });
  const columns = stdout
    .trimEnd()
    .split('\n')
    .map((row) => row.search(/ {2}(from|by|in) \S/));
  expect(new Set(columns)).toHaveProperty('size', 1);
});

test('config --json prints values that are valid in a configuration file', async () => {
  const args = ['--bind', ':0', '--bind', 'unix:x.sock', '--request-timeout', '1.5s', '--max-body-size', '64M'];
  const { stdout } = await mpserve(['config', '--json', ...args], { cwd });
  const printed: Record<string, { value: unknown; source: unknown }> = JSON.parse(stdout);
  expect(printed).toMatchObject({
    bind: { value: ['0.0.0.0:0', 'unix:x.sock'], source: { kind: 'argv', flag: '--bind' } },
    requestTimeout: { value: '1500ms' },
    maxBodySize: { value: '64M' },
    logFile: { value: null, source: { kind: 'default' } },
  });
  const values = Object.entries(printed).map(([key, { value }]) => [key, value ?? undefined]);
  const given = values.filter(
    ([key, value]) => !/threads$/i.test(String(key)) && !(Array.isArray(value) && value.length === 0),
  );
  await writeFile(path.join(cwd, 'again.json'), JSON.stringify(Object.fromEntries(given)));
  const again = await mpserve(['config', '--json', '--config', 'again.json'], { cwd });
  expect(again.stderr).toBe('');
  const values2 = Object.entries(JSON.parse(again.stdout)).map(([key, entry]) => [
    key,
    (entry as { value: unknown }).value ?? undefined,
  ]);
  expect(values2).toEqual(values);
});

test('config warns on stderr of a flag that has no effect', async () => {
  const { code, stderr } = await mpserve(['config', '--model', 'ppc', '--threads', '2'], { cwd });
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: 'mpserve: warning: --threads does nothing with the model ppc\n',
  });
});

test.each([
  ['mjs', "import { defineConfig } from 'NAME';\nexport default defineConfig({ backlog: 9 });"],
  ['mjs', 'export default async () => ({ backlog: 9 });'],
  ['cjs', 'module.exports = { backlog: 9 };'],
  ['js', 'module.exports = () => ({ backlog: 9 });'],
])('a configuration file .%s may contain %s', async (extension, code) => {
  const file = path.join(cwd, `some.${extension}`);
  await writeFile(file, code.replace('NAME', path.join(root, 'dist/index.js')));
  const { stdout, stderr } = await mpserve(['config', '--config', file], { cwd });
  expect(stderr).toBe('');
  expect(stdout).toMatch(new RegExp(`^backlog +9 +in ${file}`, 'm'));
});

test('ctl escapes control characters in what the server reports, which may come from clients', async () => {
  const suspect = { fingerprint: 'GET / -', method: 'GET', url: '/\u001b[2J', deaths: 1, at: 'now', isRefused: false };
  const server = createServer((_, res) => res.end(`${JSON.stringify([suspect])}\n`));
  const control = path.join(cwd, 'control.sock');
  await once(server.listen(control), 'listening');
  const { stdout, stderr } = await mpserve(['ctl', 'quarantine', '--control', control], { cwd });
  server.close();
  expect(stderr).toBe('');
  expect(stdout).toContain('GET /\\u001b[2J');
});

test.each([
  ['bash', /^complete .* mpserve$/m],
  ['zsh', /^#compdef mpserve$/m],
  ['fish', /^complete .*mpserve/m],
])('completion prints a script for %s', async (shell, mark) => {
  const { code, stdout } = await mpserve(['completion', shell]);
  expect(code).toBe(0);
  expect(stdout).toMatch(mark);
  expect(stdout).toContain('mpserve --get-yargs-completions');
});

test.each([
  [
    ['--model', 'pre'],
    ['prefork', 'prethread'],
  ],
  [
    ['--accept', ''],
    ['shared', 'dispatch', 'reuseport'],
  ],
  [
    ['--log-format', ''],
    ['json', 'pretty'],
  ],
  [[''], ['serve', 'ctl', 'top', 'bench', 'advise', 'prove', 'config', 'import', 'completion']],
])('after %j the shell completes %j', async (typed, offered) => {
  const { stdout } = await mpserve(['--get-yargs-completions', 'mpserve', ...typed], { env: { SHELL: '/bin/bash' } });
  expect(stdout.trim().split('\n').sort()).toEqual([...offered].sort());
});

test('after a dash the shell completes the long names of the flags', async () => {
  const { stdout } = await mpserve(['--get-yargs-completions', 'mpserve', '--'], { env: { SHELL: '/bin/bash' } });
  const offered = stdout.trim().split('\n');
  expect(offered).toEqual(expect.arrayContaining(['--model', '--max-connections', '--help', '--json']));
  expect(offered.every((flag) => flag.length > 3)).toBe(true);
});
