// Access lines of requests whose worker was killed after the response and before it wrote the line.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { ofConnections, testPlacements } from '../helpers/placements.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-lines-'));
afterAll(() => rmSync(folder, { recursive: true }));

testPlacements(
  'a request that was answered has a line, even if its worker was killed',
  async ({ name, model, accept, args = [] }) => {
    const log = path.join(folder, name);
    const placed = { model, ...(accept && { accept }), args: [...args, '--access-log', log] };
    await using server = await startServer({ app: fixture('ends-after-answer.cjs'), ...placed });
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).body).toBe('answered');
    expect((await wire.ask('GET /killed?"x"')).body).toBe('answered');
    await server.waitFor('the death', ({ event }) => event === 'worker-died');
    const lines = await eventually('both lines', () => {
      const all = readFileSync(log, 'utf8').trim().split('\n');
      return all.length === 2 && all.map((line) => JSON.parse(line));
    });
    expect(lines).toMatchObject([
      { event: 'request', url: '/', status: 200, bytes: expect.any(Number) },
      { event: 'request', url: '/killed?"x"', status: 200, bytes: null, remote: null, durationMs: expect.any(Number) },
    ]);
    expect(server.lines.filter(({ event }) => event === 'request-lost')).toEqual([]);
  },
  ofConnections,
);

const unanswered = [
  ['only a part of the response', 'long'],
  ['a response that Node refuses to send', 'wrong'],
] as const;
test.concurrent.each(unanswered)('a request whose client got %s has no line and is logged as lost', async (_, name) => {
  const log = path.join(folder, name);
  const args = ['--access-log', log];
  await using server = await startServer({ app: fixture('ends-after-answer.cjs'), model: 'prefork', args });
  using wire = await connect(server.url);
  await wire.request(`GET /${name}`);
  await server.waitFor('it to be lost', ({ event, url }) => event === 'request-lost' && url === `/${name}`);
  expect(readFileSync(log, 'utf8')).toBe('');
});

test.concurrent('a response to a client that has disconnected does not count for the next request', async () => {
  const log = path.join(folder, 'late');
  const args = ['--workers', '1', '--access-log', log];
  await using server = await startServer({ app: fixture('ends-after-answer.cjs'), model: 'prefork', args });
  const first = await connect(server.url);
  await first.request('GET /late');
  await server.waitFor('it to wait', ({ seen }) => seen === 'waits');
  first.close();
  await server.waitFor('its client to have gone', ({ seen }) => seen === 'gone');
  using second = await connect(server.url);
  await second.request('GET /after-late');
  await server.waitFor('it to be lost', ({ event, url }) => event === 'request-lost' && url === '/after-late');
  expect(readFileSync(log, 'utf8')).not.toContain('/after-late');
});

test.concurrent('the line is also written to standard output', async () => {
  await using server = await startServer({
    app: fixture('ends-after-answer.cjs'),
    model: 'prefork',
    args: ['--access-log', '-'],
  });
  using wire = await connect(server.url);
  expect((await wire.ask('GET /killed')).body).toBe('answered');
  await server.waitFor(
    'its line',
    ({ event, url, status }) => event === 'request' && url === '/killed' && status === 200,
  );
});

test.concurrent('a client that disconnects before the response has a line without a status', async () => {
  const args = ['--workers', '1', '--access-log', '-'];
  await using server = await startServer({ app: fixture('ends-after-answer.cjs'), model: 'prefork', args });
  const wire = await connect(server.url);
  await wire.request('GET /late');
  await server.waitFor('it to wait', ({ seen }) => seen === 'waits');
  wire.close();
  const line = await server.waitFor('its line', ({ event }) => event === 'request');
  expect(line).toMatchObject({ url: '/late', status: null, bytes: 0 });
});
