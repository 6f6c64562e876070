// Memory that a thread shares with its host: how many connections it has taken of those handed over, its heartbeat, how many
// open connections it has accepted itself, how often its host has moved to another directory for it, and how many requests it
// has begun. Readable whatever the thread is at, and after it has died.
import type { Claims } from '../tasks/wire.js';

const slots = { taken: 0, dueBy: 1, accepted: 2, moves: 3, begun: 4 } as const;

/** A host that is busy for longer has not moved (milliseconds). */
const moveMs = 5000;

export function createCounters(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * Object.keys(slots).length));
}

/** How many open connections all threads of a process have accepted. */
export function createAccepted(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** Of a thread that takes requests. Not the word of connections: a host that has handed over none sets that one back. */
export function claimsOn(counters: Int32Array): Claims {
  return {
    get taken() {
      return Atomics.load(counters, slots.begun);
    },
    take: (from, to) => Atomics.compareExchange(counters, slots.begun, from, to) === from,
  };
}

export const acceptedByAll = {
  count: (accepted: Int32Array): number => Atomics.load(accepted, 0),
  add: (accepted: Int32Array, change: number): void => void Atomics.add(accepted, 0, change),
};

export const counter = {
  taken: (counters: Int32Array): number => Atomics.load(counters, slots.taken),
  /** Raises `taken` from one value to another, unless it has changed meanwhile. @returns whether it has raised it */
  take: (counters: Int32Array, from: number, to: number): boolean =>
    Atomics.compareExchange(counters, slots.taken, from, to) === from,
  dueBy: (counters: Int32Array): number => Atomics.load(counters, slots.dueBy),
  setDueBy: (counters: Int32Array, dueBy: number): void => void Atomics.store(counters, slots.dueBy, dueBy),
  accepted: (counters: Int32Array): number => Atomics.load(counters, slots.accepted),
  countAccepted: (counters: Int32Array, change: 1 | -1): void => void Atomics.add(counters, slots.accepted, change),
  /** In the thread: blocks it until its host has moved. @param ask asks the host to */
  awaitMove: (counters: Int32Array, ask: () => void): void => {
    const moves = Atomics.load(counters, slots.moves);
    ask();
    Atomics.wait(counters, slots.moves, moves, moveMs);
  },
  countMove: (counters: Int32Array): void => {
    Atomics.add(counters, slots.moves, 1);
    Atomics.notify(counters, slots.moves);
  },
};
