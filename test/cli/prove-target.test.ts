// `mpserve prove --target`: asks a server that runs already, or something else that answers.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Results, TrialResult } from '../../src/prove/results.ts';
import { eventually } from '../helpers/eventually.ts';
import { root, runCli, type ServerOptions, startServer } from '../helpers/server.ts';

const bin = path.join(root, 'bin/mpserve.js');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-target-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const stepLine = /^(waiting for |\d+( of \d+)? s: )/;
const withoutSteps = (stderr: string) =>
  stderr
    .split('\n')
    .filter((line) => !stepLine.test(line))
    .join('\n');

async function watch(url: string, args: readonly string[] = ['--duration', '3s'], options: ServerOptions = {}) {
  const run = await runCli(['prove', '--target', url, ...args, '--json', '-'], options);
  const results: Results | undefined = run.stdout === '' ? undefined : JSON.parse(run.stdout);
  const trial: TrialResult | undefined = results?.proofs[0]?.trials[0];
  return { ...run, results, trial, error: withoutSteps(run.stderr) };
}

class Other implements AsyncDisposable {
  constructor(
    readonly server: http.Server,
    readonly scheme = 'http',
  ) {
    server.keepAliveTimeout = 0; // the clients may be slow
  }

  static async start(answer: RequestListener): Promise<Other> {
    const server = http.createServer((req, res) => req.resume().once('end', () => answer(req, res)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new Other(server);
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    if (this.server.listening) await once(this.server.close(), 'close');
  }
}

describe.concurrent('mpserve prove --target', () => {
  test('asks a server, and leaves it running', async () => {
    await using server = await startServer();
    const { code, left, results, trial, error } = await watch(`${server.url}/echo?x=1`);
    expect({ code, left, error }).toEqual({ code: 0, left: [], error: '' });
    const url = `${server.url}/echo?x=1`;
    expect(results).toMatchObject({ app: url, target: url, proofs: [{ model: 'target', size: '' }] });
    expect(results).toMatchObject({ settings: { url: '/echo?x=1' }, avoidable: 0, failures: 0, interrupted: false });
    expect(trial).toMatchObject({ trial: 'watch', times: 1, failed: 0, lost: 0, reasons: [] });
    expect(trial?.requests).toBeGreaterThan(20);
    expect(trial?.answered).toBe(trial?.requests);
    expect((await fetch(server.url)).status).toBe(200);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('runs until %s, and leaves no request half done', async (signal) => {
    let [begun, done] = [0, 0];
    await using other = await Other.start((_, res) => {
      begun++;
      setTimeout(() => res.end('a page'), 20);
      res.once('finish', () => done++);
    });
    const child = spawn(process.execPath, [bin, 'prove', '--target', other.url], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    await eventually('the clients to ask', () => done > 100);
    child.kill(signal);
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(stdout).toContain(`${other.url}/ asked by mpserve `);
    const [, count = ''] = /^In short: no avoidable losses in ([\d,]+) request\(s\)\.$/m.exec(stdout) ?? [];
    const asked = Number(count.replaceAll(',', ''));
    expect(begun).toBe(done);
    expect(done - asked).toBe(4); // of the preflight
  });

  test('counts 502, 503 and 504 as failed by their status, others as lost', async () => {
    let asked = 0;
    await using other = await Other.start((_, res) => {
      const status = asked++ < 10 ? 200 : { 12: 502, 14: 503, 16: 504, 18: 500, 20: 404 }[asked];
      res.writeHead(status ?? 200).end('a page');
    });
    const { code, trial } = await watch(other.url);
    expect(code).toBe(1);
    expect(trial).toMatchObject({ failed: 3, lost: 2, avoidable: 5 });
    const reasons = trial?.reasons.map(({ reason }) => reason).sort();
    expect(reasons).toEqual([
      ...['status 502', 'status 503', 'status 504', 'unexpected status 404', 'unexpected status 500'],
    ]);
  });

  test('reports a target that goes away as lost requests', async () => {
    let asked = 0;
    await using other = await Other.start((_, res) => {
      if (asked++ < 60) return res.end('a page');
      other.server.close();
      return other.server.closeAllConnections();
    });
    const { code, error, results, trial } = await watch(other.url);
    expect({ code, error }).toEqual({ code: 1, error: '' });
    expect(trial?.answered).toBe(60 - 4);
    expect(trial?.lost).toBe(results?.avoidable);
    const refused = trial?.reasons.find(({ reason }) => reason === 'cannot connect (ECONNREFUSED)');
    expect(refused?.count).toBeGreaterThan(10);
    expect(refused?.atMs.length).toBe(10);
  });

  test('takes the connections that a balancer closes between requests for no loss', { tags: 'long' }, async () => {
    await using other = await Other.start((_, res) => res.end('a page'));
    other.server.maxRequestsPerSocket = 5;
    const { code, trial } = await watch(other.url);
    expect({ code }, JSON.stringify(trial)).toEqual({ code: 0 });
    expect(trial).toMatchObject({ failed: 0, lost: 0, avoidable: 0 });
    expect(trial?.reconnects).toBeGreaterThan(0);
  });

  test('follows no redirect, and says so', { tags: 'long' }, async () => {
    const hosts = new Set<string | undefined>();
    await using other = await Other.start((req, res) => {
      hosts.add(req.headers.host);
      res.writeHead(req.method === 'GET' ? 302 : 405, { location: 'http://127.0.0.2/' }).end();
    });
    const { code, results, trial } = await watch(other.url);
    expect(code, JSON.stringify(trial)).toBe(0);
    expect(results?.notes).toEqual([
      'GET / had status 302 at the start, so this is what is expected, and no redirect is followed',
    ]);
    expect([...hosts]).toEqual([new URL(other.url).host]);
  });

  test('exits 4 if there is no normal response', async () => {
    await using other = await Other.start((_, res) => res.writeHead(503).end());
    const { code, stdout, error } = await watch(other.url);
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    expect(error).toBe('mpserve: GET / returned status 503; give --target the URL of another page\n');
  });

  const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
  if (!hasOpenssl) console.warn('SKIPPED: the test with TLS needs openssl');
  test.runIf(hasOpenssl)('asks over TLS, if it can tell who the server is', { tags: 'long' }, async () => {
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name)) as [string, string];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject];
    await promisify(execFile)('openssl', made); // without blocking the servers of the other tests
    const options = { key: readFileSync(key), cert: readFileSync(cert) };
    const server = https.createServer(options, (req, res) => req.resume().once('end', () => res.end('a page')));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    await using other = new Other(server, 'https');
    const stranger = await watch(other.url);
    expect({ code: stranger.code, stdout: stranger.stdout }).toEqual({ code: 3, stdout: '' });
    expect(stranger.error).toMatch(
      /^mpserve: no server answers at 127\.0\.0\.1, port \d+: cannot connect \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
    );
    const known = await watch(other.url, ['--duration', '3s'], { env: { NODE_EXTRA_CA_CERTS: cert } });
    expect({ code: known.code, error: known.error }).toEqual({ code: 0, error: '' });
    expect(known.trial).toMatchObject({ failed: 0, lost: 0 });
    expect(known.trial?.requests).toBeGreaterThan(20);
  });
});

const here = ['--target', 'http://127.0.0.1:1/'];
const isNoUrl = (text: string) =>
  `--target must be a URL that starts with http:// or https://, as in http://127.0.0.1:8080/health, not '${text}'`;
const nothing = 'does nothing with --target, which starts no server and injects nothing; leave it out';
test.each<[what: string, args: readonly string[], code: number, message: string]>([
  ['no server', here, 3, 'no server answers at 127.0.0.1, port 1: cannot connect (ECONNREFUSED); is it running?'],
  [
    'a host without an address',
    ['--target', 'http://nowhere.invalid'],
    3,
    'no server answers at nowhere.invalid, port 80: cannot connect (CODE); is it running?',
  ],
  ['another scheme', ['--target', 'ftp://127.0.0.1/'], 2, isNoUrl('ftp://127.0.0.1/')],
  ['a Unix socket', ['--target', 'unix:/run/app.sock'], 2, isNoUrl('unix:/run/app.sock')],
  ['an address without a scheme', ['--target', '127.0.0.1:8080'], 2, isNoUrl('127.0.0.1:8080')],
  [
    'a password, which it does not print',
    ['--target', 'http://me:secret@127.0.0.1/'],
    2,
    "--target must have no user or password, which the clients do not send, not 'http://…@127.0.0.1'",
  ],
  [
    'an app',
    [...here, 'app.js'],
    2,
    "--target asks a server that runs already, so prove starts no app; leave out 'app.js' or --target",
  ],
  [
    '--url',
    [...here, '--url', '/x'],
    2,
    '--url does nothing with --target; give the path in the URL of --target, which is http://127.0.0.1:1/',
  ],
  ['trials', [...here, '--trials', 'kill'], 2, `--trials ${nothing}`],
  ['options of a server', [...here, '--model', 'ppc'], 2, `--model ${nothing}`],
  [
    '--duration without --target',
    ['--duration', '5s'],
    2,
    '--duration does nothing without --target; each trial ends when its operations are done',
  ],
])('refuses %s', async (_, args, code, message) => {
  const run = await runCli(['prove', ...args]);
  const error = withoutSteps(run.stderr).replace(/ENOTFOUND|EAI_AGAIN/, 'CODE'); // without a name server it is the second
  expect({ code: run.code, stdout: run.stdout, error }).toEqual({ code, stdout: '', error: `mpserve: ${message}\n` });
});
