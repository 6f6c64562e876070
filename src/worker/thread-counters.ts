// Memory that a thread shares with its host: how many connections it has taken of those handed over, its heartbeat, and
// how many open connections it has accepted itself. Readable whatever the thread is at, and after it has died.

const slots = { taken: 0, dueBy: 1, accepted: 2 } as const;

export function createCounters(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * Object.keys(slots).length));
}

export const counter = {
  taken: (counters: Int32Array): number => Atomics.load(counters, slots.taken),
  /** Raises `taken` from one value to another, unless it has changed meanwhile. @returns whether it has raised it */
  take: (counters: Int32Array, from: number, to: number): boolean =>
    Atomics.compareExchange(counters, slots.taken, from, to) === from,
  dueBy: (counters: Int32Array): number => Atomics.load(counters, slots.dueBy),
  setDueBy: (counters: Int32Array, dueBy: number): void => void Atomics.store(counters, slots.dueBy, dueBy),
  accepted: (counters: Int32Array): number => Atomics.load(counters, slots.accepted),
  countAccepted: (counters: Int32Array, change: 1 | -1): void => void Atomics.add(counters, slots.accepted, change),
};
