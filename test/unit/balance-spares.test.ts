// How many wait with the app loaded, who gets them, and what is offered to those who carry connections over.
import { beforeEach, expect, test } from 'vitest';
import { now } from '../../src/clock.ts';
import { Spares, startsAtOnce } from '../../src/strategies/spares.ts';
import { eventually } from '../helpers/eventually.ts';

interface Spare {
  isReady: boolean;
}

let started: Spare[];
let dismissed: Spare[];
/** What was offered last. */
let seats: number | undefined;
let refuses: boolean;
let spares: Spares<Spare>;
beforeEach(() => {
  const own: Spare[] = []; // what one test leaves to do must not come into the next
  started = own;
  dismissed = [];
  seats = undefined;
  refuses = false;
  spares = new Spares<Spare>({
    start() {
      if (refuses) throw new Error('the system refuses');
      const spare = { isReady: false };
      own.push(spare);
      return spare;
    },
    dismiss: (spare) => void dismissed.push(spare),
    isReady: ({ isReady }) => isReady,
    starting: () => started.filter(({ isReady }) => !isReady).length,
    onCredits: (count) => {
      seats = count;
    },
  });
});

const never = Number.POSITIVE_INFINITY;
/** Those that have started are ready. */
function finish(): void {
  for (const spare of started) spare.isReady = true;
  spares.started(1);
}

test('so many are kept, whoever takes one', async () => {
  spares.keep(2);
  expect(started).toHaveLength(2);
  expect(spares.take(false)).toBe(started[0]);
  await eventually('another one', () => started.length === 3);
});

test('one that is ready goes first, then the one that has been starting for longest', () => {
  spares.keep(3);
  const [first, second] = started as [Spare, Spare];
  second.isReady = true;
  expect(spares.take(false)).toBe(second);
  expect(spares.take(false)).toBe(first);
});

test('those for connections that are carried over are for nobody else, and are offered when they are ready', () => {
  spares.keep(0);
  expect(started).toHaveLength(0);
  spares.expect(never);
  expect(started).toHaveLength(startsAtOnce);
  expect(seats).toBe(0);
  finish();
  expect(seats).toBe(startsAtOnce);
  expect(spares.take(false)).toBeUndefined();
  expect(spares.take(true)).toBe(started[0]);
});

test('when it is urgent there are twice as many', () => {
  spares.keep(0);
  spares.expect(now() - 1);
  expect(started).toHaveLength(2 * startsAtOnce);
});

test('what is too much goes when nothing is expected any more, and nothing is offered', () => {
  spares.keep(0);
  spares.expect(now() - 1);
  finish();
  spares.expect(undefined);
  expect(dismissed).toEqual(started);
  expect(seats).toBe(0);
});

test('one that was started otherwise counts', () => {
  const tried = { isReady: true };
  spares.add(tried);
  spares.keep(1);
  expect(started).toHaveLength(0);
  expect(spares.take(false)).toBe(tried);
});

test('one that dies is replaced; one that was taken is not ours any more', async () => {
  spares.keep(1);
  const [first] = started as [Spare];
  spares.ended(first, 0);
  await eventually('another one', () => started.length === 2);
  const taken = spares.take(false) as Spare;
  await eventually('a third one', () => started.length === 3);
  spares.ended(taken, 0);
  await new Promise((turn) => setImmediate(turn));
  expect(started).toHaveLength(3);
});

test('where the system refuses, it is asked again', async () => {
  refuses = true;
  spares.keep(1);
  expect(started).toHaveLength(0);
  refuses = false;
  await eventually('one', () => started.length === 1);
});

test('none any more are none: those that there are belong to whoever has closed them', () => {
  spares.keep(2);
  spares.close();
  spares.expect(never);
  expect(started).toHaveLength(2);
  expect(dismissed).toHaveLength(0);
  expect(spares.take(true)).toBeUndefined();
});

test('those that keep dying wait longer and longer, also while connections are expected', async () => {
  spares.keep(0);
  spares.expect(never);
  for (let deaths = 0; deaths < 3; deaths++) {
    const count = started.length;
    for (const spare of started.slice(-startsAtOnce)) spares.ended(spare, 0);
    spares.started(1);
    expect(started).toHaveLength(count);
    await eventually('others', () => started.length > count);
  }
});
