// --unit request: what kills or blocks a thread costs its own request only.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { scrape } from '../helpers/samples.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-tasks-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const start = (...args: readonly string[]): Promise<Server> =>
  startServer({
    app: fixture('tasks.cjs'),
    model: 'prethread',
    args: ['--unit', 'request', '--threads', '2', '--probation', '0', ...args],
  });

async function statusOf(server: Server, line: string): Promise<number> {
  using wire = await connect(server.url);
  return (await wire.ask(line)).status;
}

const runs = (file: string): number => readFileSync(file, 'utf8').length;

describe.concurrent('a request that', () => {
  test.each([
    ['calls process.exit', 'GET /die', [], 502],
    ['throws in a timer', 'GET /uncaught', [], 502],
    ['fills the heap', 'GET /memory', ['--max-thread-heap', '64M'], 502],
    ['blocks its thread', 'GET /hang', ['--hang-timeout', '500ms'], 504],
    ['is not answered', 'GET /never', ['--request-deadline', '300ms'], 504],
    ['blocks its thread beyond its deadline', 'GET /hang', ['--request-deadline', '300ms', '--hang-timeout', '0'], 504],
  ] as const)('%s costs itself alone', async (_, line, args, status) => {
    await using server = await start(...args);
    using other = await connect(server.url);
    using wire = await connect(server.url);
    const others = other.ask('GET /sleep?ms=100');
    const { status: got, body } = await wire.ask(line, { 'x-request-id': 'the-culprit' });
    expect(got).toBe(status);
    expect(body).toContain('the-culprit');
    expect((await others).body).toBe('slept');
    // Two threads serve again.
    using next = await connect(server.url);
    await eventually('another thread', async () => {
      const threads = [];
      for (let i = 0; i < 2; i++) threads.push((await next.ask('GET /')).headers['x-thread']);
      return threads[0] !== threads[1];
    });
    expect(server.workers()).toHaveLength(1);
  });

  test('dies in the middle of its response has its connection cut', async () => {
    await using server = await start();
    using wire = await connect(server.url);
    await wire.request('GET /die-late', { 'x-request-id': 'late' });
    const text = String(await wire.rest());
    expect(text).toContain('begun');
    expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
    await server.waitFor('the error line', ({ event, reqId }) => event === 'response-cut' && reqId === 'late');
    using next = await connect(server.url);
    expect((await next.ask('GET /')).body).toBe('ok');
  });

  test('is not answered in time aborts req.signal, where its thread lives on', async () => {
    await using server = await start('--request-deadline', '300ms', '--tasks-per-thread', '2');
    using wire = await connect(server.url);
    expect((await wire.ask('GET /never')).status).toBe(504);
    const { aborted } = await server.waitFor('the app to see it', (line) => line.aborted !== undefined);
    expect(aborted).toMatch(/--request-deadline/);
    await server.waitFor(
      'another thread',
      ({ event, reason }) => event === 'thread-recycled' && String(reason).includes('--request-deadline'),
    );
  });

  test('waits for a thread that is blocked gets another one', async () => {
    await using server = await start('--hang-timeout', '1s');
    using blocked = await connect(server.url);
    using wire = await connect(server.url);
    const lost = blocked.ask('GET /hang');
    for (let i = 0; i < 5; i++) expect((await wire.ask('GET /')).body).toBe('ok');
    expect((await lost).status).toBe(504);
    expect((await blocked.ask('GET /')).body).toBe('ok');
  });
});

describe.concurrent('--retry-safe', () => {
  test('runs a GET once more when its thread has died, and counts that', async () => {
    const file = path.join(folder, 'once');
    await using site = await Site.start('prethread', [
      '--unit',
      'request',
      '--threads',
      '2',
      '--retry-safe',
      '--admin',
      '0',
    ]);
    const code = `
      const fs = require('node:fs');
      module.exports = (req, res) => {
        if (req.url !== '/once') return res.end('ok');
        fs.appendFileSync(${JSON.stringify(file)}, '.');
        if (fs.readFileSync(${JSON.stringify(file)}).length === 1) process.exit(3);
        res.end('second run');
      };`;
    site.write(code);
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    using wire = await connect(site.server.url);
    expect(await wire.ask('GET /once')).toMatchObject({ status: 200, body: 'second run' });
    expect(runs(file)).toBe(2);
    await eventually(
      'the metrics to have it',
      async () => (await scrape(site)).get('mpserve_requests_retried_total') === 1,
    );
  });

  test('never runs one a third time', async () => {
    const file = path.join(folder, 'always');
    await using server = await start('--retry-safe');
    using wire = await connect(server.url);
    expect((await wire.ask(`GET /always?file=${file}`)).status).toBe(502);
    expect(runs(file)).toBe(2);
  });

  test('never runs a POST again, nor a GET without it', async () => {
    const [posted, got] = [path.join(folder, 'posted'), path.join(folder, 'got')];
    await using server = await start('--retry-safe');
    await using without = await start();
    using wire = await connect(server.url);
    using other = await connect(without.url);
    expect((await wire.ask(`POST /always?file=${posted}`, {}, 'body')).status).toBe(502);
    expect((await other.ask(`GET /always?file=${got}`)).status).toBe(502);
    expect([runs(posted), runs(got)]).toEqual([1, 1]);
  });

  test('never runs a quarantined request again', async () => {
    const file = path.join(folder, 'quarantined');
    await using server = await start('--retry-safe', '--quarantine-after', '1');
    using wire = await connect(server.url);
    expect((await wire.ask(`GET /always?file=${file}`)).status).toBe(502);
    await server.waitFor('the quarantine', ({ event }) => event === 'quarantined');
    // Each refusal closes its connection.
    await eventually('it to be refused', async () => (await statusOf(server, `GET /always?file=${file}`)) === 503);
    const before = runs(file);
    expect(await statusOf(server, `GET /always?file=${file}`)).toBe(503);
    expect(runs(file)).toBe(before);
  });
});

test('a request that kills threads is named, and refused after --quarantine-after deaths', async () => {
  await using server = await start('--quarantine-after', '2');
  using wire = await connect(server.url);
  for (const reqId of ['first', 'second']) {
    expect((await wire.ask('GET /die', { 'x-request-id': reqId })).status).toBe(502);
    await server.waitFor('it to be named', (line) => line.event === 'request-lost' && line.reqId === reqId);
    expect((await wire.ask('GET /')).body).toBe('ok');
  }
  await eventually('it to be refused', async () => (await statusOf(server, 'GET /die')) === 503);
  expect((await wire.ask('GET /')).body).toBe('ok');
});
