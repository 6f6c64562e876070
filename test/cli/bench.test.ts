// `mpserve bench` and `mpserve advise` from the command line: short runs, of which only structure and direction are checked.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Advice } from '../../src/bench/advice.ts';
import type { Cell, Results } from '../../src/bench/results.ts';
import { oneOf } from '../../src/config/kind.ts';
import { eventually } from '../helpers/eventually.ts';
import { marked } from '../helpers/process-tree.ts';
import { splitProgress } from '../helpers/progress.ts';
import { isFull } from '../helpers/repetitions.ts';
import { fixture, root, runCli, startServer } from '../helpers/server.ts';

const app = fixture('bench-app.cjs');
const quick = ['--rounds', '1', '--duration', '200ms', '--connections', '4'];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
async function bench(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const file = path.join(folder, `${++files}.json`);
  const run = await runCli(['bench', ...args, '--json', file], { env, ms: 250_000 });
  const results = (): Results => JSON.parse(readFileSync(file, 'utf8'));
  const cell = (contender: string, scenario: string): Cell | undefined =>
    results().cells.find((one) => one.contender === contender && one.scenario === scenario);
  return { ...run, file, results, cell };
}

/** Scenarios in which not all requests count. */
const withUncounted = ['mixed', 'crash'];
const demoScenarios = ['hello', 'cpu', 'wait', 'mixed', 'stream', 'crash', 'short', 'idle'];
test.concurrent('scenarios with the demo app print a table and write all metrics as JSON', { tags: 'long' }, () =>
  measures(['hello', 'wait', 'idle'], ['--scenarios', 'hello,wait,idle']),
);
test.concurrent('every scenario with the demo app', { tags: 'long' }, () => measures(demoScenarios, []));

async function measures(names: readonly string[], args: readonly string[]): Promise<void> {
  const { code, stdout, stderr, left, results, cell } = await bench([...quick, '--models', 'hybrid', ...args]);
  const { steps, rest } = splitProgress(stderr);
  expect({ code, rest, left }).toEqual({ code: 0, rest: '', left: [] });
  const measuring = names.map((name) =>
    expect.stringMatching(`^${name}, \\d+ connection\\(s\\), round 1 of 1: hybrid$`),
  );
  expect(steps.filter((step) => step.includes('round'))).toEqual(measuring);
  const { schema, contenders, scenarios, interrupted } = results();
  expect({ schema, interrupted }).toEqual({ schema: 'mpserve-bench/1', interrupted: false });
  expect(contenders).toMatchObject([{ name: 'hybrid', size: '2 × 2' }]);
  expect(scenarios.map(({ name }) => name)).toEqual(names);
  for (const name of names) expect(stdout).toContain(`\n${name}: `);
  for (const name of names) {
    const [round] = cell('hybrid', name)?.rounds ?? [];
    expect(round?.requests, name).toBeGreaterThan(0);
    expect(round?.latencyMs?.max).toBeGreaterThanOrEqual(round?.latencyMs?.p50 ?? Number.NaN);
    if (withUncounted.includes(name)) expect(round?.cpuMicrosPerRequest, name).toBeUndefined();
    else expect(round?.cpuMicrosPerRequest).toBeGreaterThanOrEqual(0);
    expect(round?.peakMemoryBytes).toBeGreaterThan(10e6);
    expect(round?.generatorUtilisation).toBeGreaterThan(0);
  }
  // Node's timers never fire early.
  expect(cell('hybrid', 'wait')?.rounds[0]?.latencyMs?.p50).toBeGreaterThanOrEqual(19);
  expect(cell('hybrid', 'idle')?.rounds[0]?.connectionsHeld).toBeGreaterThan(1);
}

test.concurrent('an open loop shows a stall in the percentiles, and a closed loop warns that it hides stalls', {
  tags: 'long',
}, async () => {
  const args = ['--url', '/stall', '--models', 'prefork', '--workers', '1', '--scenarios', 'own'];
  const long = ['--rounds', '1', '--duration', '3s', '--connections', '1'];
  const [open, closed] = await Promise.all([
    bench([app, ...args, ...long, '--rate', '100']),
    bench([app, ...args, ...long]),
  ]);
  // The app stalls for one second of three, so a third of the requests are late, the first of them by a second.
  expect(open.code).toBe(0);
  const late = open.cell('prefork', 'own')?.rounds[0]?.latencyMs;
  expect(late?.p999).toBeGreaterThan(500);
  expect(late?.p90).toBeGreaterThan(200);
  expect(open.stdout).not.toContain('a closed loop');

  expect(closed.cell('prefork', 'own')?.rounds[0]?.latencyMs?.p99).toBeLessThan(late?.p90 ?? 0);
  expect(closed.stdout).toContain('a closed loop waits for each response');
});

test.concurrent('an open loop counts only the responses within its duration as requests/s', {
  tags: 'long',
}, async () => {
  const args = [app, ...quick, '--rate', '20', '--url', '/wait500', '--models', 'prefork', '--scenarios', 'own'];
  const { code, cell } = await bench(args);
  expect(code).toBe(0);
  expect(cell('prefork', 'own')?.rounds).toMatchObject([{ requests: 4, requestsPerSecond: 0 }]);
});

test.concurrent('a model under which the app fails to load is reported with its error, and the others are measured', {
  tags: 'long',
}, async () => {
  const args = [app, ...quick, '--models', 'prefork,prethread', '--scenarios', 'own'];
  const { code, stdout, results, cell } = await bench(args, { BENCH_APP: 'no-threads' });
  expect(code).toBe(0);
  expect(stdout).toContain('prethread could not be measured: ');
  expect(results().contenders[1]?.failure).toContain('not in a thread');
  expect(cell('prefork', 'own')?.rounds[0]?.requests).toBeGreaterThan(0);
});

test.concurrent('closed connections count as errors', { tags: 'long' }, async () => {
  const { cell } = await bench([app, ...quick, '--models', 'prefork', '--scenarios', 'own', '--url', '/cut']);
  const [round] = cell('prefork', 'own')?.rounds ?? [];
  expect(round?.errors.connection).toBeGreaterThan((round?.requests ?? 0) / 20);
  expect(round?.errors.connection).toBeLessThan((round?.requests ?? 0) / 5);
});

test.concurrent('a model that answers nothing in time says so', async () => {
  const args = [app, ...quick, '--models', 'prefork', '--scenarios', 'own', '--url', '/never'];
  const { code, stdout } = await bench(args);
  expect(code).toBe(0);
  expect(stdout).toContain('\n  own: prefork answered no request\n');
  expect(stdout).toMatch(/^requests\/s, 4 conn\. +no answer$/m);
  expect(stdout).not.toMatch(/^errors/m);
});

test.concurrent('--compare prints ratios, and --fail-if exits 1', { tags: 'long' }, async () => {
  const args = [app, ...quick, '--models', 'prefork', '--scenarios', 'own'];
  const first = await bench(args);
  const scaled = (by: number): string => {
    const file = path.join(folder, `${++files}.json`);
    const old = JSON.stringify(first.results(), (key, value) => (key === 'p99' ? value * by : value));
    writeFileSync(file, old);
    return file;
  };
  const worse = await bench([...args, '--compare', scaled(0.001), '--fail-if', 'p99>+10%']);
  expect(worse.code).toBe(1);
  expect(worse.stdout).toMatch(/FAILED p99>\+10%: own, prefork, 4 conn\.: latency p99 .* → .*, × \d+\.\d\d \(worse\)/);
  const better = await bench([...args, '--compare', scaled(1000), '--fail-if', 'p99>+10%']);
  expect(better.code).toBe(0);
  expect(better.stdout).toContain('(better)');
});

test.concurrent('a configuration of a daemon is measured in the foreground', async () => {
  const config = path.join(folder, 'daemon.config.json');
  writeFileSync(config, JSON.stringify({ app, daemon: true }));
  const args = ['--config', config, ...quick, '--models', 'prefork', '--scenarios', 'own'];
  const { code, left, cell } = await bench(args);
  for (const pid of left) process.kill(pid, 'SIGKILL');
  expect({ code, left }).toEqual({ code: 0, left: [] });
  expect(cell('prefork', 'own')?.rounds[0]?.requests).toBeGreaterThan(0);
});

test.concurrent('models are measured beside each other and the server that has the control socket and the pid file', {
  tags: 'long',
}, async () => {
  const config = path.join(folder, 'files.config.json');
  const files = { control: path.join(folder, 'server.ctl'), pidFile: path.join(folder, 'server.pid') };
  writeFileSync(config, JSON.stringify({ app, ...files }));
  await using server = await startServer({ args: ['--config', config] });
  const { code, results } = await bench([
    '--config',
    config,
    ...quick,
    '--models',
    'prefork,prethread',
    '--scenarios',
    'own',
  ]);
  expect(code).toBe(0);
  expect(results().contenders.map(({ failure }) => failure)).toEqual([undefined, undefined]);
  expect(readFileSync(files.pidFile, 'utf8').trim()).toBe(`${server.pid}`);
});

test.concurrent('--fail-if exits 1 if a model of the earlier run does not start any more', {
  tags: 'long',
}, async () => {
  const args = [app, ...quick, '--models', 'prefork,prethread', '--scenarios', 'own'];
  const first = await bench(args);
  const again = [...args, '--compare', first.file, '--fail-if', 'rps<-99%'];
  const { code, stdout } = await bench(again, { BENCH_APP: 'no-threads' });
  expect(stdout).toMatch(/^FAILED own, prethread, 4 conn\.: no request answered any more$/m);
  expect(code).toBe(1);
});

const bad: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  [
    'a path with status 404',
    [app, '--url', '/gone'],
    4,
    /no model can be measured: the app responded to GET \/gone with status 404$/,
  ],
  ['an app that does not exist', ['./gone.js'], 4, /does not exist/],
  [
    'an unknown model',
    ['--models', 'prefrok'],
    2,
    /--models must be a list of .*, not 'prefrok'; did you mean prefork\?$/,
  ],
  [
    'an unknown scenario',
    ['--scenarios', 'helo'],
    2,
    /--scenarios must be a list of .*, not 'helo'; did you mean hello\?$/,
  ],
  ['a demo scenario with another app', [app, '--scenarios', 'cpu'], 2, /needs the demo app; .*use own, short or idle$/],
  [
    'earlier results in another format',
    ['--compare', 'package.json', '--fail-if', 'x'],
    2,
    /--compare needs a file written by --json/,
  ],
  ['a condition without earlier results', ['--fail-if', 'p99>+10%'], 2, /add --compare FILE$/],
  ['earlier results that do not exist', ['--compare', 'gone.json'], 2, /--compare cannot read gone\.json: ENOENT/],
  ['0 connections', ['--connections', '1,0'], 2, /--connections must be whole numbers .*, not '0'$/],
  ['0 rounds', ['--rounds', '0'], 2, /--rounds must be a whole number from 1 to 100, not '0'$/],
  ['an option that the comparison sets itself', ['--model', 'prefork'], 2, /--model is not allowed here.*--models$/],
  ['the unit, which belongs to a model', ['--unit', 'request'], 2, /--unit is not allowed here.*--models$/],
  ['a daemon', ['--daemon'], 2, /--daemon is not allowed here.*leave it out$/],
  [
    '--requests together with --url',
    ['--requests', 'x.json', '--url', '/'],
    2,
    /--requests and --url exclude each other/,
  ],
  ['a file without requests', ['--requests', 'package.json'], 2, /--requests must name a JSON array/],
  ['an invalid header', ['--header', 'x'], 2, /--header must be a header such as 'accept: text\/html', not 'x'$/],
  ['a --json file that is a folder', ['--json', 'test'], 3, /cannot write test \(from --json\): it is a directory$/],
  ['an unwritable --html file', ['--html', '/gone/x.html'], 3, /cannot write \/gone\/x\.html \(from --html\): ENOENT/],
];
test.concurrent.each(bad)('fails before measuring on %s', async (_, args, code, message) => {
  const run = await runCli(['bench', ...args]);
  expect({ code: run.code, stdout: run.stdout, left: run.left }).toEqual({ code, stdout: '', left: [] });
  const { rest } = splitProgress(run.stderr);
  expect(rest.trim()).toMatch(message);
  expect(rest.trim().split('\n')).toHaveLength(1);
});

test.concurrent('an option of bench without the command is an error that names the commands', async () => {
  const { code, stderr } = await runCli(['--rounds', '3']);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'mpserve: --rounds only works with mpserve bench and mpserve advise; remove it\n',
  });
});

test.concurrent('a model whose threads serve requests is measured as another one', async () => {
  const args = [app, ...quick, '--models', 'prethread/request', '--scenarios', 'own'];
  const { code, left, results, cell } = await bench(args);
  expect({ code, left }).toEqual({ code: 0, left: [] });
  const command = expect.stringContaining('--model prethread --unit request');
  expect(results().contenders).toMatchObject([{ name: 'prethread/request', command }]);
  expect(cell('prethread/request', 'own')?.rounds[0]?.requests).toBeGreaterThan(0);
});

describe.concurrent('a running comparison', () => {
  const start = () => {
    const mark = `MPSERVE_TEST_MARK=${process.pid}.${performance.now()}`;
    const [name = '', value] = mark.split('=');
    const args = [
      'bench',
      '--models',
      'prefork',
      '--workers',
      '2',
      '--scenarios',
      'hello',
      '--duration',
      '1h',
      '--rounds',
      '1',
    ];
    const child = spawn(process.execPath, [path.join(root, 'bin/mpserve.js'), ...args], {
      env: { ...process.env, [name]: value },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const busy = () => eventually('servers and load', () => marked(mark).length >= 5);
    return { child, busy, left: () => marked(mark), printed: () => stdout };
  };

  test('prints its results so far on SIGINT and leaves no process', async () => {
    const { child, busy, left, printed } = start();
    await busy();
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(printed()).toContain('The comparison was stopped before its end.');
    await eventually('all its processes to end', () => left().length === 0);
  });

  test('leaves no process when it is killed', async () => {
    const { child, busy, left } = start();
    await busy();
    child.kill('SIGKILL');
    await eventually('all its processes to end', () => left().length === 0);
  });
});

describe.concurrent('advise', () => {
  // Several processes that give requests to threads are no candidates where there are few processors.
  const pooled = ['prefork', 'prethread', 'prethread/request', 'hybrid'];
  if (availableParallelism() > 2) pooled.push('hybrid/request');
  const short = ['--rounds', '1', '--duration', '500ms', '--connections', '4'];

  test.runIf(isFull)(
    'measures on after a single round, which has no spread, and prints a model and how to run it',
    {
      tags: 'long',
    },
    async () => {
      const file = path.join(folder, `${++files}.json`);
      const args = ['advise', app, '--url', '/wait20', ...short, '--json', file];
      const { code, stdout, stderr, left } = await runCli(args, { ms: 250_000 });
      expect({ code, left }).toEqual({ code: 0, left: [] });
      expect(splitProgress(stderr).steps).toContain(
        `the rounds spread too far to tell ${oneOf(pooled, 'and')} apart; measuring 1 more of each`,
      );
      const advice: Advice = JSON.parse(readFileSync(file, 'utf8'));
      const rounds = advice.results[0]?.settings.rounds;
      expect(rounds).toBeGreaterThanOrEqual(2);
      expect(stdout).toContain(`, after ${rounds} round(s) of 0.5 s with 4 connection(s)\n`);
      expect(stdout.includes('\nTo decide: about ')).toBe(advice.isUnclear);

      // A run as short as this may recommend any of them.
      const [, name = ''] = /^(?:Stay with|Use) ([\w/]+)[,.]/.exec(stdout) ?? [];
      expect(pooled).toContain(name);
      const [model, unit] = name.split('/');
      // On a busy machine a value may be below 100, and then has a decimal.
      const value = String.raw`[\d,.]+(?: \([\d,.]+ to [\d,.]+\))?`;
      expect(stdout).toMatch(new RegExp(`requests/s.*: ${pooled.map((one) => `${one} ${value}`).join(', ')}$`, 'm'));
      // With one processor the default size needs no option.
      const [flag, field] = availableParallelism() > 1 ? [' --', ','] : ['', ''];
      expect(stdout).toContain(`Run:       mpserve ${app} --model ${model}${unit ? ` --unit ${unit}` : ''}${flag}`);
      expect(stdout).toContain(`mpserve.config.json  {"model":"${model}"${unit ? `,"unit":"${unit}"` : ''}${field}`);
    },
  );

  test('names the models that it could not measure', async () => {
    const args = ['advise', app, ...short];
    const { code, stdout } = await runCli(args, { env: { BENCH_APP: 'no-threads' }, ms: 250_000 });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Stay with prefork, the default/);
    for (const model of ['prethread', 'hybrid']) {
      expect(stdout).toMatch(new RegExp(`^Missing: {3}${model} could not be measured: .*not in a thread`, 'm'));
    }
  });

  test('exits 4 if no model answers a request in time', async () => {
    const { code, stdout, stderr, left } = await runCli(['advise', app, '--url', '/never', ...short], { ms: 250_000 });
    expect({ code, stdout, left }).toEqual({ code: 4, stdout: '', left: [] });
    expect(splitProgress(stderr).rest).toBe(
      'mpserve: no model answered a request within a round of 0.5 s; measure longer rounds with --duration\n',
    );
  });

  test('recommends a pooled model for an app that loses requests where the others do not start', async () => {
    const args = ['advise', app, '--url', '/fail-often', '--accept', 'dispatch', '--sticky', 'ip', ...short];
    const { code, stdout } = await runCli(args, { ms: 250_000 });
    expect(code).toBe(0);
    expect(stdout).toMatch(/the app loses requests, and (prefork|prethread) loses the fewest: prefork [\d.]+ %/);
    for (const model of ['ppc', 'tpc']) {
      expect(stdout).toMatch(new RegExp(`^Missing: {3}${model} could not be measured: .*dispatch`, 'm'));
    }
  });

  test.runIf(isFull)(
    'recommends a process or thread per connection for an app that often crashes',
    {
      tags: 'long',
      timeout: 600_000,
    },
    async () => {
      // Long enough for some responses in each round, even on a slow machine.
      const rounds = ['--rounds', '2', '--duration', '6s', '--connections', '4'];
      const { code, stdout } = await runCli(['advise', app, '--url', '/exit-often', ...rounds], { ms: 500_000 });
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Use (ppc|tpc)\./);
      expect(stdout).toMatch(/the app loses requests, and (ppc|tpc) loses the fewest: prefork [\d.]+ %/);
      expect(stdout).toContain('Trade-off: ');
    },
  );
});
