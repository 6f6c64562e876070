// What the dashboard is told: rates, events and lines, all of a fixed size.
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { beginning, History, maxEvents, maxPoints } from '../../src/admin/history.ts';
import type { LiveUpdate, TimelineEvent } from '../../src/admin/live.ts';
import { LiveFeed } from '../../src/admin/live-feed.ts';
import { LogTail, maxLogLines } from '../../src/admin/log-tail.ts';
import { quantile, ratesOf } from '../../src/admin/rates.ts';
import { Ring } from '../../src/admin/ring.ts';
import { Timeline } from '../../src/admin/timeline.ts';
import { Events } from '../../src/events.ts';
import { answeredIndex, bucketMs } from '../../src/metrics/layout.ts';
import { Reports } from '../../src/reports/reports.ts';
import { countsOf, loopOf, statusOf, workerOf } from '../helpers/dashboard.ts';
import { eventually } from '../helpers/eventually.ts';

test('a ring has the last items, by the numbers that they had', () => {
  const ring = new Ring<number>(3);
  expect(ring.slice(0, 9)).toEqual([]);
  for (let i = 0; i < 8; i++) ring.push(i);
  expect(ring.end).toBe(8);
  expect(ring.slice(0, 8)).toEqual([5, 6, 7]);
  expect(ring.slice(6, 7)).toEqual([6]);
  expect(ring.slice(8, 8)).toEqual([]);
  expect(ring.slice(2, 4)).toEqual([]);
});

test('the history is bounded, whatever happens', () => {
  const history = new History();
  for (let i = 0; i < 2000; i++) {
    history.sample(countsOf({}), i);
    history.add({ at: i, kind: 'other', text: `${i}` });
    history.log.add(`{"level":30,"time":${i},"msg":"${i}"}`);
  }
  const { points, events, log } = history.slice(beginning, history.end);
  expect(points.length).toBe(maxPoints);
  expect(points.at(-1)?.connections).toBe(1999);
  expect(events.length).toBe(maxEvents);
  expect(events.at(-1)?.text).toBe('1999');
  expect(log.length).toBe(maxLogLines);
  expect(log.at(-1)?.text).toBe('1999');
  const successor = new History(JSON.parse(JSON.stringify(history.items)));
  expect(successor.slice(beginning, successor.end)).toEqual({ points, events, log });
  // The limits of another version may be higher.
  const { items } = new History({ events: Array.from({ length: 500 }, (_, at) => ({ at, kind: 'other', text: '' })) });
  expect(items.events.length).toBe(maxEvents);
  expect(items.events[0]?.at).toBe(300);
  expect([items.points, items.log]).toEqual([[], []]);
});

test('rates are the difference of two readings', () => {
  const get200 = answeredIndex(0, 1);
  const get500 = answeredIndex(0, 4);
  const answered = (ok: number, failed: number) => {
    const all: number[] = [];
    all[get200] = ok;
    all[get500] = failed;
    return all;
  };
  const before = countsOf({ answered: answered(100, 3), duration: [100] });
  const after = countsOf({ answered: answered(140, 13), duration: [100, 0, 0, 45, 5] });
  expect(ratesOf(before, after, 2)).toMatchObject({ requests: 25, errors: 5 });
  const { p50, p99 } = ratesOf(before, after, 2);
  expect(p50).toBeCloseTo(5 + 5 * (25 / 45), 1);
  expect(p99).toBeCloseTo(10 + 15 * (4.5 / 5), 1);
  expect(ratesOf(after, after, 2)).toEqual({ requests: 0, errors: 0, p50: null, p99: null });
});

test('a quantile is interpolated, and never beyond the last bound', () => {
  expect(quantile([], 0.5)).toBe(null);
  expect(quantile([10], 0.5)).toBe(0.5);
  expect(quantile([0, 0, 4], 1)).toBe(5);
  expect(quantile([...bucketMs.map(() => 0), 7], 0.5)).toBe(10_000);
});

test('lines of the log are shown in words, escaped, and not too long', () => {
  const tail = new LogTail();
  tail.add(
    `${JSON.stringify({ level: 50, time: 1234, pid: 7, event: 'x', msg: 'it \u001b[31mfailed\u202e', url: '/a\n</script>' })}\n`,
  );
  tail.add(`${JSON.stringify({ level: 40, time: 5, msg: 'x'.repeat(100_000) })}\n`);
  const [first, long] = tail.slice(0, 2);
  expect(first).toEqual({ at: 1234, level: 'error', text: 'it \\u001b[31mfailed\\u202e pid=7 url=/a\\n</script>' });
  expect(long).toMatchObject({ at: 5, level: 'warn' });
  expect(long?.text.length).toBe(1000);
});

test('reports become events: many of a kind in a second are one, and text of the app is escaped', () => {
  const reports = new Reports(new Events());
  const told: TimelineEvent[] = [];
  let isPool = true;
  const timeline = new Timeline(
    reports,
    () => isPool,
    (event) => told.push(event),
  );
  const started = (worker: number) =>
    reports.publish({ kind: 'worker-started', worker, pid: 100 + worker, generation: 1 });
  for (let i = 1; i <= 40; i++) started(i);
  reports.publish({ kind: 'reloading', reason: 'SIGHUP' });
  expect(told.map(({ text }) => text)).toEqual(['reload begins (SIGHUP)']);
  timeline.tick();
  expect(told[1]).toMatchObject({
    kind: 'start',
    text: expect.stringMatching(/^40 workers are ready; the first: worker 1/),
  });
  timeline.tick();
  expect(told).toHaveLength(2);
  isPool = false; // each connection starts one
  started(41);
  timeline.tick();
  expect(told).toHaveLength(2);
  const err = { type: 'Error', message: `\u001b]0;x\u0007${'y'.repeat(1000)}`, stack: '' };
  reports.publish({ kind: 'app-crashed', pid: 5, err });
  reports.publish({ kind: 'hung', pid: 5, tid: 3, stillMs: 512, stack: [], requests: [] });
  timeline.tick();
  expect(told[2]).toMatchObject({
    kind: 'crash',
    text: expect.stringContaining('worker pid 5: \\u001b]0;x\\u0007yyy'),
  });
  expect(told[2]?.text.length).toBe(300);
  expect(told[3]).toMatchObject({
    kind: 'hang',
    text: 'thread 3 of worker pid 5 blocked its event loop for 512 ms in native code',
  });
});

/** A feed, and clients of it. */
async function openFeed(workers: LiveUpdate['workers'] | (() => Promise<LiveUpdate['workers']>)) {
  const history = new History();
  const ask = typeof workers === 'function' ? workers : () => workers;
  let asked = 0;
  const feed = new LiveFeed({
    history,
    models: [],
    status: () => statusOf({}),
    workers: () => {
      asked++;
      return ask();
    },
  });
  const server = createServer((_, response) => void feed.join(response, true)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    feed,
    history,
    asked: () => asked,
    client: async () => {
      const [response] = (await once(get({ port, agent: false }), 'response')) as [IncomingMessage];
      response.on('error', () => {});
      return response;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

test('a client that does not read is disconnected, and the others are not', async () => {
  const big = workerOf(1, [
    loopOf('working', { oldest: [{ reqId: 'a', method: 'GET', url: 'x'.repeat(500_000), ageMs: 1 }] }),
  ]);
  await using open = await openFeed([big]);
  const slow = await open.client();
  const reader = await open.client();
  let read = 0;
  reader.on('data', ({ length }: Buffer) => {
    read += length;
  });
  slow.pause();
  const isGone = new Promise((done) => slow.once('close', done));
  const ticks = 60; // 30 MB, more than the sockets of both take
  for (let i = 1; i <= ticks; i++) {
    await open.feed.tick();
    await eventually('the reader to have it', () => read >= i * 500_000);
  }
  slow.resume();
  await isGone;
  expect(slow.complete).toBe(false);
  expect(reader.closed).toBe(false);
});

test('nothing is asked while nobody looks, and once for all who do', async () => {
  await using open = await openFeed([]);
  await open.feed.tick();
  expect(open.asked()).toBe(0);
  const clients = [await open.client(), await open.client()];
  expect(open.asked()).toBe(1);
  await open.feed.tick();
  expect(open.asked()).toBe(2);
  for (const client of clients) client.destroy();
  await eventually('the feed to notice', async () => {
    const before = open.asked();
    await open.feed.tick();
    return open.asked() === before;
  });
});

test('while workers do not answer, clients get heartbeats', async () => {
  let answer = (_: LiveUpdate['workers']): void => {};
  let waits = false;
  await using open = await openFeed(() => (waits ? new Promise((done) => (answer = done)) : Promise.resolve([])));
  const client = await open.client();
  let text = '';
  client.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  await eventually('the first message', () => text.includes('data: '));
  waits = true;
  const pending = open.feed.tick();
  await open.feed.tick();
  await eventually('a heartbeat', () => text.endsWith('\n\n:\n\n'));
  answer([]);
  await pending;
  await eventually('the next message', () => text.split('data: ').length === 3);
});

test('a client gets each item once, whenever it came', async () => {
  await using open = await openFeed([]);
  const add = (n: number) => open.history.add({ at: n, kind: 'other', text: `${n}` });
  const follow = async () => {
    const seen: string[] = [];
    let rest = '';
    (await open.client()).setEncoding('utf8').on('data', (part: string) => {
      const messages = (rest + part).split('\n\n');
      rest = messages.pop() ?? '';
      for (const message of messages)
        seen.push(...JSON.parse(message.slice(6)).events.map((one: TimelineEvent) => one.text));
    });
    return seen;
  };
  add(1);
  const first = await follow();
  add(2);
  const second = await follow(); // between two ticks
  add(3);
  await open.feed.tick();
  add(4);
  await open.feed.tick();
  for (const seen of [first, second]) await eventually('all of them', () => seen.length === 4);
  expect([first, second]).toEqual([Array.from('1234'), Array.from('1234')]);
});
