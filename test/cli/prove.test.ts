// `mpserve prove` as a command: it exits 0 if the server loses no request, and reports the losses if it does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Results, TrialResult } from '../../src/prove/results.ts';
import { eventually } from '../helpers/eventually.ts';
import { canUseNobody } from '../helpers/nobody.ts';
import { marked } from '../helpers/process-tree.ts';
import { splitProgress } from '../helpers/progress.ts';
import { isFull } from '../helpers/repetitions.ts';
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
  const result = (trial: string): TrialResult | undefined =>
    results().proofs[0]?.trials.find((one) => one.trial === trial);
  return { ...run, results, result };
}

/** Writes `text` as an app into a file of its own. */
function writeApp(text: string): string {
  const file = path.join(folder, `${++files}.cjs`);
  writeFileSync(file, text);
  return file;
}

describe.concurrent('mpserve prove', () => {
  const expectNoLosses = async (model: string, trials: readonly string[], options = {}) => {
    const args = ['--reloads', '2', '--scalings', '2', '--trials', trials.join(',')];
    const { code, stdout, stderr, left, results, result } = await prove(['--models', model, ...args], options);
    const { steps, rest } = splitProgress(stderr);
    expect({ code, rest, left }, stdout).toEqual({ code: 0, rest: '', left: [] });
    const checking = `${model}: checking that the app starts and responds`;
    expect(steps).toEqual([checking, ...trials.map((name) => `${model}: ${name}`)]);
    const { schema, avoidable, failures, interrupted, notes } = results();
    expect({ schema, avoidable, failures, interrupted, notes }).toEqual({
      ...{ schema: 'mpserve-prove/1', avoidable: 0, failures: 0, interrupted: false, notes: [] },
    });
    for (const name of trials.filter((name) => ['reload', 'broken', 'recycle'].includes(name))) {
      expect(result(name), name).toMatchObject({ lost: 0, reconnects: 0, unavoidable: 0, reasons: [] });
      expect(result(name)?.requests, name).toBeGreaterThan(100);
      expect(result(name)?.answered, name).toBe(result(name)?.requests);
    }
    expect(result('reload')?.times).toBe(2);
    const ran = results()
      .proofs.flatMap(({ trials }) => trials)
      .filter(({ leftOut }) => leftOut === undefined).length;
    expect(stdout.split('\n')[3]).toBe(`In short: no avoidable losses in ${ran} trial(s).`);
    expect(stdout).toMatch(/^reload +2 +[\d,]+ +[\d,]+ +0 +0 +0(?: +\d+ ms){4}$/m);
    // The connections of the killed worker or thread break.
    const isOfRequests = model.endsWith('/request'); // of which none need be on the thread
    for (const name of trials.filter((name) => name === 'kill' || (name === 'hang' && !isOfRequests))) {
      expect(result(name)?.unavoidable, name).toBeGreaterThan(0);
    }
    expect(stdout.trim().split('\n').at(-1)).toBe('No avoidable losses.');
    return { stdout, result };
  };

  test('finds no avoidable losses of prefork in a reload and a kill', async () => {
    await expectNoLosses('prefork', ['reload', 'kill']);
  });

  // `npm run bench:prove` asks all models, and the one of requests on threads below has most of these trials.
  test.runIf(isFull)('finds no avoidable losses of prefork in the other trials', { tags: 'long' }, async () => {
    const trials = ['reload', 'broken', 'scale', 'recycle', 'hang'];
    const { result } = await expectNoLosses('prefork', trials, { ms: 20 * 60_000 });
    expect(result('recycle')?.times).toBeGreaterThan(1);
    expect(result('scale')).toMatchObject({ times: 2, lost: 0, reconnects: 0 });
  });

  test('finds no avoidable losses of requests on threads in a reload, and where a thread or the process dies', async () => {
    const { stdout, result } = await expectNoLosses('prethread/request', ['reload', 'kill', 'kill-thread']);
    expect(result('kill-thread'), stdout).toMatchObject({ times: 1, lost: 0, reconnects: 0 });
    expect(stdout).toMatch(/^prethread\/request, 1 × \d+$/m);
  });

  test('finds no avoidable losses of requests on threads in the other trials', { tags: 'long' }, async () => {
    const trials = ['reload', 'switch', 'hang'];
    const { result } = await expectNoLosses('prethread/request', trials, { ms: 20 * 60_000 });
    expect(result('switch')).toMatchObject({ lost: 0, failed: 0, reconnects: 0 });
    expect(result('hang')).toMatchObject({ lost: 0, reconnects: 0 });
  });

  test('tells requests that ran on a dead thread from lost ones, and knows of none with --retry-safe', async () => {
    const app = writeApp(`
      module.exports = (req, res) => req.resume().once('end', () => setTimeout(() => res.end(), 100));`);
    const args = [app, '--models', 'prethread/request', '--tasks-per-thread', '20', '--threads', '2'];
    const trial = ['--trials', 'kill-thread'];
    const [without, retrying] = await Promise.all([
      prove([...args, ...trial]),
      prove([...args, ...trial, '--retry-safe']),
    ]);
    expect({ code: without.code }, without.stdout).toEqual({ code: 0 });
    expect(without.result('kill-thread')).toMatchObject({ lost: 0, reconnects: 0, avoidable: 0 });
    expect(without.result('kill-thread')?.failed).toBeGreaterThan(0);
    expect(without.stdout).toMatch(/^kill-thread: \d+ unavoidable, on the killed worker or thread: \d+ × status 502 /m);
    expect({ code: retrying.code }, retrying.stdout).toEqual({ code: 0 });
    const { reasons = [] } = retrying.result('kill-thread') ?? {};
    expect(reasons.filter(({ client }) => client !== 'slow body')).toEqual([]);
  });

  test('exits 1 and reports the losses if the server closes connections', async () => {
    const { code, stdout, left, results, result } = await prove([
      '--no-migrate',
      '--trials',
      'reload',
      ...['--reloads', '1'],
    ]);
    expect({ code, left }).toEqual({ code: 1, left: [] });
    expect(result('reload')?.avoidable).toBeGreaterThan(0);
    expect(result('reload')?.complaints).toEqual(expect.any(Array));
    expect(results().avoidable).toBe(result('reload')?.avoidable);
    expect(stdout).toMatch(
      /^In short: \d+ avoidable loss\(es\) in 1 trial\(s\)\.\n {2}reload under prefork: \d+ lost avoidably$/m,
    );
    expect(stdout).toMatch(/^LOST reload: \d+ avoidable: /m);
    expect(stdout).toMatch(/^\d+ avoidable loss\(es\) of requests or connections\.$/m);
  });

  test('reads the configuration file, and uses no slow-body clients if the app does not accept POST', async () => {
    const file = writeApp(`
      process.stdout.write('no line');
      module.exports = (req, res) => {
        res.statusCode = req.method === 'GET' && req.url === '/x' ? 404 : 500;
        res.end();
      };`);
    writeFileSync(
      path.join(folder, 'mpserve.config.json'),
      JSON.stringify({ model: 'hybrid', workers: 1, threads: 3, app: path.basename(file) }),
    );
    const { code, stdout, results, result } = await prove(['--url', '/x', '--trials', 'broken', '--clients', '3'], {
      cwd: folder,
      env: { MPSERVE_MODEL: 'prethread' },
    });
    expect({ code }, stdout).toEqual({ code: 0 });
    expect(results().proofs).toMatchObject([{ model: 'prethread', size: '1 × 3' }]);
    expect(results().settings.clients).toMatchObject({ 'kept-alive': 3, 'slow body': 0 });
    expect(results().notes).toEqual(['no slow-body clients, because POST /x returned status 500']);
    expect(result('broken')).toMatchObject({ times: 1, lost: 0 });
  });

  test('deploys releases that fail late, without the signal for which --wait-ready waits', {
    tags: 'long',
  }, async () => {
    const app = writeApp(`
        require('node:http')
          .createServer((req, res) => req.resume().once('end', () => res.writeHead(404).end()))
          .listen(0, () => process.send('ready'));`);
    // Long enough for a release to leak its memory on a slow machine.
    const args = [app, '--wait-ready', '--probation', '5s', '--trials', 'late-crash'];
    const { code, stdout, result } = await prove(args);
    expect({ code }, stdout).toEqual({ code: 0 });
    expect(result('late-crash')).toMatchObject({ lost: 0, reconnects: 0 });
  });

  test('keeps to the limits of the settings: on models, on the number of workers, on requests of an address', async () => {
    const sizes = ['--min-workers', '1', '--max-workers', '2', '--workers', '2'];
    const args = ['--accept', 'dispatch', '--sticky', 'ip', '--rate-limit', '1/m', ...sizes];
    const { code, stdout, results, result } = await prove([...args, '--trials', 'scale,switch', '--scalings', '2']);
    expect({ code }, stdout).toEqual({ code: 0 });
    expect(result('scale')).toMatchObject({ times: 2, lost: 0 });
    expect(result('switch')).toMatchObject({ times: 2, lost: 0 });
    expect(results().notes.map((note) => note.split(',')[0])).toEqual([
      ...['no switch to ppc', 'no switch to tpc', 'no switch to prethread/request', 'no switch to hybrid'],
      ...['no switch to hybrid/request', 'no --rate-limit'],
    ]);
  });

  test('lets its own options override those in --env-file, and shows the app the other variables', {
    tags: 'long',
  }, async () => {
    const file = path.join(folder, `${++files}.env`);
    const options = ['MPSERVE_MODEL=prefork', 'MPSERVE_WORKERS=3', 'MPSERVE_LOG_LEVEL=warn', 'MPSERVE_RATE_LIMIT=1/m'];
    writeFileSync(file, [...options, 'STATUS=404'].join('\n'));
    const app = writeApp(`
      module.exports = (req, res) => req.resume().once('end', () => {
        res.statusCode = process.env.STATUS;
        res.end();
      });`);
    const args = [app, '--env-file', file, '--workers', '1', '--models', 'hybrid', '--trials', 'broken'];
    const { code, stdout, results, result } = await prove(args);
    expect({ code }, stdout).toEqual({ code: 0 });
    expect(results().proofs).toMatchObject([{ model: 'hybrid', size: '1 × 2' }]);
    expect(result('broken')).toMatchObject({ times: 1, lost: 0 });
  });

  test.skipIf(!canUseNobody)(
    'deploys a broken release that the user of the workers may read',
    {
      tags: 'long',
    },
    async () => {
      const { code, stdout, result } = await prove(['--user', 'nobody', '--trials', 'broken']);
      expect({ code }, stdout).toEqual({ code: 0 });
      expect(result('broken')).toMatchObject({ times: 1, lost: 0 });
    },
  );

  test('prints only JSON with --json -', async () => {
    const { code, stdout } = await runCli(['prove', '--trials', 'upgrade', '--upgrades', '0', '--json', '-']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ proofs: [{ trials: [{ trial: 'upgrade', leftOut: '--upgrades 0' }] }] });
  });

  test('prints the results so far on Ctrl-C, and leaves no process behind', async () => {
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
    expect(stdout).toContain('\nIn short, until it was interrupted: no avoidable losses in 0 trial(s).\n');
    expect(stdout).toContain('Interrupted before all trials were done.');
    await eventually('all its processes to end', () => marked(mark).length === 0);
  });

  test('leaves no process behind when it is killed', async () => {
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

const invalidInput: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['an unknown model', ['--models', 'prefrok'], 2, /--models accepts .*, not 'prefrok'; did you mean prefork\?$/],
  ['an unknown trial', ['--trials', 'relaod'], 2, /--trials accepts .* and hang, not 'relaod'; did you mean reload\?$/],
  ['no reloads', ['--reloads', '0'], 2, /--reloads must be a whole number from 1 to 10000, not '0'$/],
  ['an unknown value of --switches', ['--switches', 'few'], 2, /--switches must be some, all or none, not 'few'$/],
  ['--model and --models', ['--model', 'ppc', '--models', 'ppc'], 2, /--model and --models exclude each other/],
  ['--unit and --models', ['--unit', 'request', '--models', 'all'], 2, /--unit and --models exclude each other/],
  ['clients that think too long', ['--think', '4s'], 2, /--think must be less than half of --keep-alive-timeout/],
  ['an app that does not exist', ['./gone.js'], 4, /does not exist/],
  ['an app that does not load', [fixture('broken/throws.cjs')], 4, /throws\.cjs/],
  ['results that cannot be written', ['--json', '/gone/x.json'], 3, /cannot write \/gone\/x\.json \(from --json\)/],
];
test.each(invalidInput)('rejects %s before it starts a server', async (_, args, code, message) => {
  const run = await runCli(['prove', ...args]);
  expect({ code: run.code, stdout: run.stdout, left: run.left }).toEqual({ code, stdout: '', left: [] });
  const { rest } = splitProgress(run.stderr);
  expect(rest.trim()).toMatch(message);
  expect(rest.trim().split('\n')).toHaveLength(1);
});

test.each([
  ['fails', 'returned status 500'],
  ['closes', 'returned "connection: close", so no connection can be kept alive'],
])('exits 4 if the app always %s', async (behaviour, message) => {
  const file = writeApp(`
    module.exports = (req, res) => {
      if ('${behaviour}' === 'fails') res.statusCode = 500;
      else res.setHeader('connection', 'close');
      res.end();
    };`);
  const { code, stderr } = await runCli(['prove', file]);
  const { rest } = splitProgress(stderr);
  expect({ code, rest }).toEqual({ code: 4, rest: `mpserve: GET / ${message}; use another path with --url\n` });
});
