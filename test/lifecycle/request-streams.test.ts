// --unit request: bodies that are larger than what may be on its way between the process and its threads.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const MiB = 2 ** 20;
let server: Server;
beforeAll(async () => {
  server = await startServer({
    app: fixture('tasks.cjs'),
    model: 'prethread',
    args: ['--unit', 'request', '--threads', '2', '--queue-timeout', '60s', '--queue-max', '2000'],
  });
});
afterAll(() => server.stop());

const host = (): number => server.workers()[0] as number;
const residentMiB = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${host()}/status`, 'utf8'))?.[1]) / 1024;
const descriptors = (): number => readdirSync(`/proc/${host()}/fd`).length;

test('64 MiB come back through a slow reader whole, and do not pile up in the process', async () => {
  using wire = await connect(server.url);
  const total = 64 * MiB;
  const part = Buffer.alloc(MiB);
  for (let i = 0; i < part.length; i++) part[i] = i * 7;
  // What V8 keeps for itself after it has seen as much is not of this request.
  await wire.write(`POST /pipe HTTP/1.1\r\nhost: a\r\ncontent-length: ${4 * MiB}\r\n\r\n`);
  const warm = Promise.all(Array.from({ length: 4 }, () => wire.write(part)));
  await wire.response();
  await warm;
  const before = residentMiB();
  let most = before;
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
      most = Math.max(most, residentMiB());
      await new Promise((resolve) => setTimeout(resolve, 10)); // this client is slow, it waits for nothing
    }
  }
  await sending;
  expect(whole).toBe(64);
  // Both sides are in this process, and V8 collects what has been sent later.
  expect(most - before).toBeLessThan(48);
});

test('1,000 uploads that are aborted leave no descriptor and no request behind', async () => {
  using kept = await connect(server.url);
  expect((await kept.ask('GET /')).body).toBe('ok');
  const before = descriptors();
  const abort = async (): Promise<void> => {
    using wire = await connect(server.url);
    await wire.write('POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n');
    await wire.write(Buffer.alloc(20_000));
    wire.socket.resetAndDestroy();
  };
  let memory = 0;
  for (let i = 0; i < 1000; i += 20) {
    await Promise.all(Array.from({ length: 20 }, abort));
    if (i === 500) memory = residentMiB();
  }
  await eventually('the descriptors to be closed', () => descriptors() <= before);
  // Each thread has room again.
  await eventually('both threads to have room', async () => {
    const [one, other] = [await kept.ask('GET /'), await kept.ask('GET /')];
    return one.headers['x-thread'] !== other.headers['x-thread'];
  });
  expect(residentMiB() - memory).toBeLessThan(32);
});

test('a body arrives with its trailers, in parts', async () => {
  using wire = await connect(server.url);
  await wire.write('POST /count HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n');
  expect((await wire.head()).status).toBe(100);
  for (let i = 0; i < 10; i++) await wire.write(`${(100_000).toString(16)}\r\n${'x'.repeat(100_000)}\r\n`);
  await wire.write('0\r\nx-sum: 1\r\n\r\n');
  expect((await wire.response()).body).toBe('1000000');
});
