// The queue of one event loop, with the clock and the timers of the test.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Admission } from '../../src/overload/admission.ts';
import { placesBytes, type Refusal } from '../../src/overload/layout.ts';
import { type PlaceLimits, Places } from '../../src/overload/places.ts';
import { Shedder } from '../../src/overload/shedder.ts';
import { SlotTable } from '../../src/overload/slots.ts';
import { Waiter, WaitingQueue } from '../../src/overload/waiting-queue.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

class Server {
  readonly table = new SlotTable({ memory: new SharedArrayBuffer(placesBytes), start: 0 });
  readonly started: string[] = [];
  readonly refused: [string, Refusal][] = [];

  loop(slot = 0, limits: Partial<PlaceLimits> = {}, goal?: { percent: number; ms: number }): Admission {
    const now = () => Date.now();
    const places = new Places(this.table, slot, { maxInflight: 2, queueMax: 3, ...limits }, now);
    const shedder = goal && new Shedder(this.table.numbers, goal);
    return new Admission({ places, queueTimeout: 1000, shedder, now });
  }

  /** The app has answered one of its requests. */
  end(loop: Admission): void {
    loop.end(1);
    vi.advanceTimersByTime(2); // a turn of the event loop takes a millisecond of this clock
  }

  wait(loop: Admission, name: string, isPriority = false): Waiter {
    const start = () => void this.started.push(name);
    const waiter = new Waiter(Date.now(), isPriority, start, (reason) => void this.refused.push([name, reason]));
    loop.wait(waiter);
    return waiter;
  }
}

describe('an event loop', () => {
  test('lets the oldest go on when a place is free, those with priority first', () => {
    const server = new Server();
    const loop = server.loop(0, { queueMax: 10 });
    expect([loop.enter(false), loop.enter(false), loop.enter(false), loop.enter(true)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    for (const name of ['a', 'b']) server.wait(loop, name);
    for (const name of ['p', 'q']) server.wait(loop, name, true);
    for (let i = 0; i < 4; i++) server.end(loop);
    expect(server.started).toEqual(['p', 'q', 'a', 'b']);
  });

  test('lets no request overtake those that wait, except one with priority', () => {
    const server = new Server();
    const loop = server.loop(0, { maxInflight: 1 });
    loop.enter(false);
    server.wait(loop, 'a');
    expect([loop.enter(false), loop.enter(true)]).toEqual([false, false]);
    server.end(loop);
    expect(server.started).toEqual(['a']);
  });

  test('refuses a request at once when the queue is full', () => {
    const server = new Server();
    const loop = server.loop(0, { queueMax: 1 });
    loop.enter(false);
    loop.enter(false);
    server.wait(loop, 'a');
    server.wait(loop, 'b');
    expect(server.refused).toEqual([['b', 'queue-full']]);
  });

  test('refuses the last request without priority when one with priority finds the queue full', () => {
    const server = new Server();
    const loop = server.loop(0, { maxInflight: 1, queueMax: 2 });
    loop.enter(false);
    for (const name of ['a', 'b']) server.wait(loop, name);
    for (const name of ['p', 'q', 'r']) server.wait(loop, name, true);
    expect(server.refused).toEqual([
      ['b', 'queue-full'],
      ['a', 'queue-full'],
      ['r', 'queue-full'],
    ]);
    server.end(loop);
    server.end(loop);
    expect(server.started).toEqual(['p', 'q']);
  });

  test('refuses a request that has waited for the timeout, and not before', () => {
    const server = new Server();
    const loop = server.loop();
    loop.enter(false);
    loop.enter(false);
    server.wait(loop, 'a');
    vi.advanceTimersByTime(500);
    server.wait(loop, 'p', true);
    vi.advanceTimersByTime(499);
    expect(server.refused).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(server.refused).toEqual([['a', 'queue-timeout']]);
    vi.advanceTimersByTime(500);
    expect(server.refused.at(-1)).toEqual(['p', 'queue-timeout']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('frees the place in the queue of a client that has gone', () => {
    const server = new Server();
    const loop = server.loop(0, { queueMax: 1 });
    loop.enter(false);
    loop.enter(false);
    const gone = server.wait(loop, 'a');
    loop.leave(gone);
    server.wait(loop, 'b');
    loop.leave(gone);
    server.end(loop);
    expect([server.started, server.refused]).toEqual([['b'], []]);
  });

  test('that is closed refuses all that wait, and all that would have to', () => {
    const server = new Server();
    const loop = server.loop();
    loop.enter(false);
    loop.enter(false);
    server.wait(loop, 'a');
    server.wait(loop, 'p', true);
    loop.close();
    server.wait(loop, 'b');
    expect(server.refused).toEqual([
      ['p', 'draining'],
      ['a', 'draining'],
      ['b', 'draining'],
    ]);
    server.end(loop);
    expect(loop.enter(false)).toBe(true);
  });

  test('a request that is answered while it starts does not start the others twice', () => {
    const server = new Server();
    const loop = server.loop(0, { maxInflight: 1 });
    loop.enter(false);
    const start = () => {
      server.started.push('a');
      loop.end(1);
    };
    loop.wait(new Waiter(Date.now(), false, start, () => {}));
    server.wait(loop, 'b');
    server.end(loop);
    expect(server.started).toEqual(['a', 'b']);
    expect(loop.enter(false)).toBe(false);
    server.end(loop);
    expect(loop.enter(false)).toBe(true);
  });
});

test('starts one waiting request in each turn of the event loop', () => {
  const server = new Server();
  const loop = server.loop(0, { maxInflight: 3 });
  for (let i = 0; i < 3; i++) loop.enter(false);
  for (const name of ['a', 'b', 'c']) server.wait(loop, name);
  for (let i = 0; i < 3; i++) loop.end(1);
  for (const started of [[], ['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    expect(server.started).toEqual(started);
    vi.advanceTimersToNextTimer();
  }
});

describe('two event loops', () => {
  test('take the places that the other has freed', () => {
    const server = new Server();
    const [a, b] = [server.loop(0), server.loop(1)];
    a.enter(false);
    a.enter(false);
    server.wait(b, 'b');
    a.end(1);
    expect(server.started).toEqual([]);
    vi.advanceTimersByTime(30);
    expect(server.started).toEqual(['b']);
  });

  test('keep a freed place for the request that has waited longer', () => {
    const server = new Server();
    const [a, b] = [server.loop(0, { maxInflight: 1 }), server.loop(1, { maxInflight: 1 })];
    a.enter(false);
    server.wait(b, 'b');
    vi.advanceTimersByTime(100);
    server.wait(a, 'a');
    server.end(a);
    vi.advanceTimersByTime(30);
    expect(server.started).toEqual(['b']);
    server.end(b);
    vi.advanceTimersByTime(30);
    expect(server.started).toEqual(['b', 'a']);
  });

  test('a stream of further requests does not postpone the look at the places', () => {
    const server = new Server();
    const [a, b] = [server.loop(0, { queueMax: 200 }), server.loop(1, { queueMax: 200 })];
    a.enter(false);
    a.enter(false);
    server.end(a);
    server.end(a);
    expect([a.enter(false), a.enter(false)]).toEqual([true, true]);
    server.wait(b, 'b');
    server.end(a);
    for (let i = 0; i < 100; i++) {
      server.wait(b, `later ${i}`);
      vi.advanceTimersByTime(1);
    }
    expect(server.started).toEqual(['b']);
  });
});

describe('with a goal', () => {
  const goal = { percent: 99, ms: 500 };

  test('requests that have waited for too long are refused when a place is free, and the next one gets it', () => {
    const server = new Server();
    const loop = server.loop(0, { maxInflight: 1, queueMax: 10 }, goal);
    loop.enter(false);
    for (const name of ['a', 'b']) server.wait(loop, name);
    server.wait(loop, 'p', true);
    vi.advanceTimersByTime(600);
    server.wait(loop, 'c');
    server.end(loop);
    expect(server.started).toEqual(['p']); // never shed
    server.end(loop);
    expect([server.started, server.refused]).toEqual([
      ['p', 'c'],
      [
        ['a', 'shed'],
        ['b', 'shed'],
      ],
    ]);
  });

  test('a place is free again when all that waited were shed', () => {
    const server = new Server();
    const loop = server.loop(0, { maxInflight: 1 }, goal);
    loop.enter(false);
    server.wait(loop, 'a');
    vi.advanceTimersByTime(600);
    server.end(loop);
    expect(server.refused).toEqual([['a', 'shed']]);
    expect(loop.enter(false)).toBe(true);
  });
});

test('the queue keeps its order when requests leave it anywhere', () => {
  const queue = new WaitingQueue();
  const waiters = Array.from(
    { length: 5 },
    (_, i) =>
      new Waiter(
        i,
        false,
        () => {},
        () => {},
      ),
  );
  for (const waiter of waiters) queue.add(waiter);
  const [a, b, c, d, e] = waiters as [Waiter, Waiter, Waiter, Waiter, Waiter];
  expect([queue.remove(c), queue.remove(c), queue.remove(a), queue.remove(e)]).toEqual([true, false, true, true]);
  expect([queue.first, queue.lastOrdinary, queue.size]).toEqual([b, d, 2]);
  queue.remove(b);
  queue.remove(d);
  expect([queue.first, queue.lastOrdinary, queue.size]).toEqual([undefined, undefined, 0]);
});
