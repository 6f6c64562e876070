// How many migrated connections could be received, as a semaphore that all processes share (eventfd(2)). A sender takes a
// credit before it sends, so a connection leaves its worker only when another one is ready for it. A second counter says
// how many connections have migrated, which tells a slow migration from one that has stopped.
import { readFileSync, readSync, writeSync } from 'node:fs';

/** A sender without a credit asks again after this time, at first (milliseconds). */
export const creditRetryMs = 2;

export interface Credits {
  /** Descriptor of the semaphore. */
  readonly credits: number;
  /** Descriptor of the counter of connections that have migrated; absent where an older server made the channel. */
  readonly migrated?: number;
}

export function offerCredits({ credits }: Credits, count: number): void {
  if (count > 0) add(credits, count);
}

/** @returns false when there is none: no worker could receive a connection now */
export function takeCredit({ credits }: Credits): boolean {
  try {
    readSync(credits, Buffer.alloc(8));
    return true;
  } catch {
    return false; // EAGAIN
  }
}

export function countMigrated({ migrated }: Credits): void {
  if (migrated !== undefined) add(migrated, 1);
}

/** The counter of all connections that have migrated, to be compared with an earlier one; undefined where it is unknown. */
export function migratedCount({ migrated }: Credits): string | undefined {
  if (migrated === undefined) return undefined;
  try {
    // Reading the eventfd itself would reset it for all processes (proc(5), "fdinfo").
    return /^eventfd-count:\s*(\w+)/m.exec(readFileSync(`/proc/self/fdinfo/${migrated}`, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

/** To the counter of an eventfd. */
function add(eventfd: number, count: number): void {
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(count));
  try {
    writeSync(eventfd, value);
  } catch {} // EAGAIN: the counter is full, which only a worker that writes nonsense can bring about
}
