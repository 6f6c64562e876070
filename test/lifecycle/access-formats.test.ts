// What the access log says of a request, in each format, over real connections.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { testSomePlacements, units } from '../helpers/placements.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-formats-'));
afterAll(() => rmSync(folder, { recursive: true }));

const app = fixture('access-log.cjs');
let logs = 0;
const logTo = () => path.join(folder, String(++logs));
const linesOf = (log: string, count: number) =>
  eventually(`${count} lines`, () => {
    const lines = readFileSync(log, 'latin1').split('\n').slice(0, -1);
    return lines.length >= count && lines;
  });

test('combined, with the bytes of the body and what a client sends escaped', async () => {
  const log = logTo();
  const args = ['--workers', '1', '--access-log', log, '--access-log-format', 'combined'];
  await using server = await startServer({ app, model: 'prefork', args });
  using wire = await connect(server.url);
  await wire.ask('GET /a?"b"', { 'user-agent': 'say "hi" \\ \x80', referer: 'http://a/' });
  await wire.ask('HEAD /');
  const [first, second] = (await linesOf(log, 2)) as [string, string];
  expect(first).toMatch(
    /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/a\?\\"b\\" HTTP\/1\.1" 200 8 "http:\/\/a\/" "say \\"hi\\" \\\\ \\x80"$/,
  );
  expect(second).toMatch(/ "HEAD \/ HTTP\/1\.1" 200 - "-" "-"$/);
});

test('of a sample those that fail, whose client leaves, or that are slow have a line', async () => {
  const log = logTo();
  const args = ['--workers', '1', '--access-log', log, '--access-log-sample', '0', '--slow', '500ms'];
  await using server = await startServer({ app, model: 'prefork', args });
  using wire = await connect(server.url);
  await wire.ask('GET /');
  await wire.ask('GET /throws');
  await wire.ask('GET /slow');
  const leaving = await connect(server.url);
  await leaving.request('GET /never');
  await server.waitFor('it to wait', ({ seen }) => seen === 'waits');
  leaving.close();
  const lines = (await linesOf(log, 3)).map((line) => JSON.parse(line));
  expect(lines.map(({ url, status }) => [url, status])).toEqual([
    ['/throws', 500],
    ['/slow', 200],
    ['/never', null],
  ]);
  expect(lines[1]).toMatchObject({ slow: true, blockedMs: expect.any(Number) });
});

test('of 2,000 requests a tenth is about a tenth', async () => {
  const log = logTo();
  const args = ['--workers', '1', '--access-log', log, '--access-log-sample', '0.1'];
  await using server = await startServer({ app, model: 'prefork', args });
  using wire = await connect(server.url);
  for (let i = 0; i < 2000; i++) await wire.ask('GET /');
  await server.stop();
  const { length } = readFileSync(log, 'utf8').trim().split('\n');
  expect(length).toBeGreaterThan(100); // seven standard deviations away
  expect(length).toBeLessThan(300);
});

testSomePlacements(
  units,
  'a slow request is marked, and a traceparent is in the line and in the app',
  async (placement) => {
    const log = logTo();
    const args = [...(placement.args ?? []), '--access-log', log, '--slow', '300ms'];
    const { model, accept } = placement;
    await using server = await startServer({ app, model, ...(accept && { accept }), args });
    using wire = await connect(server.url);
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    expect((await wire.ask('GET /trace', { traceparent })).body).toBe(traceparent);
    expect((await wire.ask('GET /trace', { traceparent: 'wrong' })).body).toBe('wrong');
    expect((await wire.ask('GET /trace')).body).toBe('none');
    await wire.ask('GET /blocks');
    const [valid, invalid, absent, blocked] = (await linesOf(log, 4)).map((line) => JSON.parse(line));
    expect(valid).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' });
    for (const line of [invalid, absent]) expect(line).not.toHaveProperty('traceId');
    expect(blocked.slow).toBe(true);
    // With --unit request it is the thread's event loop that is blocked, and not that of the process with the log.
    if (!placement.givesRequests) expect(blocked.blockedMs).toBeGreaterThan(300);
  },
);

testSomePlacements(units, 'a redacted name is in no line of either log', async (placement) => {
  const args = [...(placement.args ?? []), '--access-log', '-', '--log-redact', 'token', '--log-level', 'debug'];
  const { model, accept } = placement;
  await using server = await startServer({ app, model, ...(accept && { accept }), args });
  using wire = await connect(server.url);
  await wire.ask('GET /throws?a=1&token=secret');
  await wire.request('GET /dies?token=secret');
  for (const [event, target] of [
    ['request-failed', '/throws?a=1&token=[redacted]'],
    ['request', '/throws?a=1&token=[redacted]'],
    ['request-lost', '/dies?token=[redacted]'],
  ] as const)
    await server.waitFor(event, (line) => line.event === event && line.url === target);
  expect(JSON.stringify(server.lines)).not.toContain('secret');
});
