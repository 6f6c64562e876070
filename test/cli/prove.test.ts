// `mpserve prove` as users run it: a server that keeps its clients passes, one that loses them is found out.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Results, Row } from '../../src/prove/results.ts';
import { eventually } from '../helpers/eventually.ts';
import { marked } from '../helpers/process-tree.ts';
import { fixture, root, runCli, type ServerOptions } from '../helpers/server.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-prove-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
async function prove(args: readonly string[], options: ServerOptions & { ms?: number } = {}) {
  const file = path.join(folder, `${++files}.json`);
  const run = await runCli(['prove', ...args, '--json', file], options);
  const results = (): Results => JSON.parse(readFileSync(file, 'utf8'));
  const row = (trial: string): Row | undefined => results().proofs[0]?.trials.find((one) => one.trial === trial);
  return { ...run, results, row };
}

/** An app in a file of its own. */
function app(text: string): string {
  const file = path.join(folder, `${++files}.cjs`);
  writeFileSync(file, text);
  return file;
}

describe.concurrent('a proof', () => {
  const finds = async (model: string, trials: readonly string[], options = {}) => {
    const few = ['--reloads', '2', '--scalings', '2', '--trials', trials.join(',')];
    const { code, stdout, stderr, left, results, row } = await prove(['--models', model, ...few], options);
    expect({ code, stderr, left }, stdout).toEqual({ code: 0, stderr: '', left: [] });
    const { schema, avoidable, failures, interrupted, notes } = results();
    expect({ schema, avoidable, failures, interrupted, notes }).toEqual({
      ...{ schema: 'mpserve-prove/1', avoidable: 0, failures: 0, interrupted: false, notes: [] },
    });
    for (const name of trials.filter((name) => ['reload', 'broken', 'recycle'].includes(name))) {
      expect(row(name), name).toMatchObject({ lost: 0, reconnects: 0, unavoidable: 0, reasons: [] });
      expect(row(name)?.requests, name).toBeGreaterThan(100);
      expect(row(name)?.answered, name).toBe(row(name)?.requests);
    }
    expect(row('reload')?.times).toBe(2);
    expect(stdout).toMatch(/^reload +2 +[\d,]+ +[\d,]+ +0 +0(?: +\d+ ms){4}$/m);
    // What was on the process or thread that ended is gone.
    for (const name of trials.filter((name) => ['kill', 'hang'].includes(name))) {
      expect(row(name)?.unavoidable, name).toBeGreaterThan(0);
    }
    expect(stdout.trim().split('\n').at(-1)).toBe('Nothing was lost that need not have been.');
    return { stdout, row };
  };

  test.each(['prefork', 'prethread'])(
    'of %s finds nothing lost that a reload or a death need not have cost',
    async (model) => {
      await finds(model, ['reload', 'kill']);
    },
  );

  test.each(['prefork', 'prethread'])(
    'of %s finds nothing lost that need not have been',
    { tags: 'long' },
    async (model) => {
      const { stdout, row } = await finds(model, ['reload', 'broken', 'scale', 'recycle', 'kill', 'hang'], {
        ms: 20 * 60_000,
      });
      expect(row('recycle')?.times).toBeGreaterThan(1);
      const isScalable = model === 'prefork';
      expect(row('scale')).toMatchObject(isScalable ? { times: 2, lost: 0, reconnects: 0 } : { times: 0 });
      if (!isScalable) expect(stdout).toContain('scale: left out: this model has no number of workers to change');
    },
  );

  test('of a server that closes connections exits 1 and says so', async () => {
    const { code, stdout, left, results, row } = await prove([
      '--no-migrate',
      '--trials',
      'reload',
      ...['--reloads', '1'],
    ]);
    expect({ code, left }).toEqual({ code: 1, left: [] });
    expect(row('reload')?.avoidable).toBeGreaterThan(0);
    expect(results().avoidable).toBe(row('reload')?.avoidable);
    expect(stdout).toMatch(/^LOST reload: \d+ that need not have been: /m);
    expect(stdout).toMatch(/were lost that need not have been\.$/m);
  });

  test('of an app with a configuration file keeps to it, and leaves out what it does not take', async () => {
    const file = app(`
      process.stdout.write('no line');
      module.exports = (req, res) => {
        res.statusCode = req.method === 'GET' && req.url === '/x' ? 404 : 500;
        res.end();
      };`);
    writeFileSync(
      path.join(folder, 'mpserve.config.json'),
      JSON.stringify({ model: 'hybrid', workers: 1, threads: 3, app: path.basename(file) }),
    );
    const { code, stdout, results, row } = await prove(['--url', '/x', '--trials', 'broken', '--clients', '3'], {
      cwd: folder,
      env: { MPSERVE_MODEL: 'prethread' },
    });
    expect({ code }, stdout).toEqual({ code: 0 });
    expect(results().proofs).toMatchObject([{ model: 'prethread', size: '1 × 3' }]);
    expect(results().settings.clients).toMatchObject({ 'kept-alive': 3, 'slow body': 0 });
    expect(results().notes).toEqual(['slow bodies are left out, as POST /x is answered with 500']);
    expect(row('broken')).toMatchObject({ times: 1, lost: 0 });
  });

  test('prints JSON alone when that goes to standard output', async () => {
    const { code, stdout } = await runCli(['prove', '--trials', 'upgrade', '--upgrades', '0', '--json', '-']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ proofs: [{ trials: [{ trial: 'upgrade', leftOut: '--upgrades 0' }] }] });
  });

  test('that is stopped with Ctrl-C prints what there is and leaves no process', async () => {
    const mark = `MPSERVE_TEST_MARK=${process.pid}.${performance.now()}`;
    const [name = '', value] = mark.split('=');
    const args = ['prove', '--workers', '2', '--trials', 'reload', '--reloads', '1000'];
    const child = spawn(process.execPath, [path.join(root, 'bin/mpserve.js'), ...args], {
      env: { ...process.env, [name]: value },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    await eventually('a server and clients', () => marked(mark).length >= 5);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(stdout).toContain('It was stopped before it was through.');
    await eventually('all its processes to end', () => marked(mark).length === 0);
  });

  test('that is killed leaves no process either', async () => {
    const mark = `MPSERVE_TEST_MARK=${process.pid}.${performance.now()}`;
    const [name = '', value] = mark.split('=');
    const child = spawn(
      process.execPath,
      [path.join(root, 'bin/mpserve.js'), 'prove', '--workers', '2', '--trials', 'reload'],
      {
        env: { ...process.env, [name]: value },
        stdio: 'ignore',
      },
    );
    await eventually('a server and clients', () => marked(mark).length >= 5);
    child.kill('SIGKILL');
    await eventually('all its processes to end', () => marked(mark).length === 0);
  });
});

const bad: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['a model', ['--models', 'prefrok'], 2, /--models must be of .*, not 'prefrok'; did you mean prefork\?$/],
  ['a trial', ['--trials', 'relaod'], 2, /--trials must be of .* and hang, not 'relaod'; did you mean reload\?$/],
  ['no reloads', ['--reloads', '0'], 2, /--reloads must be a whole number from 1 to 10000, not '0'$/],
  ['a kind of switches', ['--switches', 'few'], 2, /--switches must be some, all or none, not 'few'$/],
  ['--model and --models', ['--model', 'ppc', '--models', 'ppc'], 2, /--model and --models exclude each other/],
  ['clients that think too long', ['--think', '4s'], 2, /--think must be less than half of --keep-alive-timeout/],
  ['an app that is not there', ['./gone.js'], 4, /does not exist/],
  ['an app that does not load', [fixture('broken/throws.cjs')], 4, /throws\.cjs/],
  ['results that cannot be written', ['--json', '/gone/x.json'], 3, /cannot write \/gone\/x\.json \(from --json\)/],
];
test.each(bad)('bad input, before anything is done: %s', async (_, args, code, message) => {
  const run = await runCli(['prove', ...args]);
  expect({ code: run.code, stdout: run.stdout, left: run.left }).toEqual({ code, stdout: '', left: [] });
  expect(run.stderr.trim()).toMatch(message);
  expect(run.stderr.trim().split('\n')).toHaveLength(1);
});

test.each([
  ['fails', 'is answered with 500'],
  ['closes', 'is answered with an announcement that the connection closes, so none can be kept'],
])('an app that always %s is no app to prove anything on', async (how, words) => {
  const file = app(`
    module.exports = (req, res) => {
      if ('${how}' === 'fails') res.statusCode = 500;
      else res.setHeader('connection', 'close');
      res.end();
    };`);
  const { code, stderr } = await runCli(['prove', file]);
  expect({ code, stderr }).toEqual({ code: 4, stderr: `mpserve: GET / ${words}; name another path with --url\n` });
});
