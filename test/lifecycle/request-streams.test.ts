// --unit request: bodies that are larger than what may be on its way between the process and its threads.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fixture, root, type Server, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const MiB = 2 ** 20;
let server: Server;
beforeAll(async () => {
  server = await startServer({
    app: fixture('tasks.cjs'),
    model: 'prethread',
    args: [
      '--unit',
      'request',
      '--threads',
      '2',
      '--queue-timeout',
      '60s',
      '--queue-max',
      '2000',
      '--keep-alive-timeout',
      '10m',
    ],
    env: { NODE_OPTIONS: `--require ${path.join(root, 'test/fixtures/held-memory.cjs')}` },
  });
});
afterAll(() => server.stop());

const host = (): number => server.workers()[0] as number;
const residentMiB = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${host()}/status`, 'utf8'))?.[1]) / 1024;
const descriptors = (): number => readdirSync(`/proc/${host()}/fd`).length;

/** What each event loop holds, in MiB: that of the process, which has the connections, and those of its two threads. */
async function heldMiB(wire: Wire): Promise<number[]> {
  const held: Record<string, number> = JSON.parse((await wire.ask('GET /held?loops=3')).body);
  return Object.keys(held)
    .sort()
    .map((tid) => (held[tid] as number) / MiB);
}

/** @returns by how much the event loop has grown that has grown most */
const mostGrown = (before: readonly number[], after: readonly number[]): number =>
  Math.max(...after.map((held, i) => held - (before[i] as number)));

test('64 MiB come back through a slow reader whole, and do not pile up in the process or its threads', async () => {
  using wire = await connect(server.url);
  using other = await connect(server.url);
  const total = 64 * MiB;
  const part = Buffer.alloc(MiB);
  for (let i = 0; i < part.length; i++) part[i] = i * 7;
  const before = await heldMiB(other);
  const residentBefore = residentMiB();
  let grown = 0;
  let resident = residentBefore;
  await wire.write(`POST /pipe HTTP/1.1\r\nhost: a\r\ncontent-length: ${total}\r\n\r\n`);
  const sending = (async () => {
    for (let sent = 0; sent < total; sent += part.length) await wire.write(part);
  })();
  expect((await wire.head()).status).toBe(200);
  let whole = 0;
  let rest = Buffer.alloc(0);
  for (let chunk = await wire.chunk(); chunk.length > 0; chunk = await wire.chunk()) {
    rest = Buffer.concat([rest, chunk]);
    for (; rest.length >= part.length; rest = rest.subarray(part.length)) {
      expect(rest.subarray(0, part.length).equals(part)).toBe(true);
      whole++;
      resident = Math.max(resident, residentMiB());
      await new Promise((resolve) => setTimeout(resolve, 10)); // this client is slow, it waits for nothing
      if (whole % 4 === 0) grown = Math.max(grown, mostGrown(before, await heldMiB(other)));
    }
  }
  await sending;
  expect(whole).toBe(64);
  expect(grown).toBeLessThan(8);
  expect(resident - residentBefore).toBeLessThan(32);
});

test('thousands of uploads that are aborted leave no descriptor, memory or request behind', async () => {
  using kept = await connect(server.url);
  await heldMiB(kept);
  const before = descriptors();
  const abort = async (): Promise<void> => {
    using wire = await connect(server.url);
    await wire.write('POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n');
    await wire.write(Buffer.alloc(20_000));
    wire.socket.resetAndDestroy();
  };
  const held: number[][] = [];
  for (let thousand = 0; thousand < 3; thousand++) {
    for (let i = 0; i < 1000; i += 20) await Promise.all(Array.from({ length: 20 }, abort));
    await eventually('the descriptors to be closed', () => descriptors() <= before);
    // Each thread has room again.
    await eventually('both threads to have room', async () => {
      const [one, other] = [await kept.ask('GET /'), await kept.ask('GET /')];
      return one.headers['x-thread'] !== other.headers['x-thread'];
    });
    held.push(await heldMiB(kept));
  }
  const [first = [], , last = []] = held;
  // Half a KiB for each of the last 2,000.
  expect(mostGrown(first, last)).toBeLessThan(1);
});

test('a body arrives with its trailers, in parts', async () => {
  using wire = await connect(server.url);
  await wire.write('POST /count HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n');
  expect((await wire.head()).status).toBe(100);
  for (let i = 0; i < 10; i++) await wire.write(`${(100_000).toString(16)}\r\n${'x'.repeat(100_000)}\r\n`);
  await wire.write('0\r\nx-sum: 1\r\n\r\n');
  expect((await wire.response()).body).toBe('1000000');
});
