// Waiting for something that announces itself nowhere: looks again and again until a deadline. Where there is an
// event to wait for, wait for that instead.
import { setTimeout as pause } from 'node:timers/promises';

/**
 * The deadline of everything that tests wait for, in milliseconds: longer than anything takes that comes at all, also on
 * a machine that is ten times slower or that others keep busy. It only matters when something does not come.
 */
export const patience = 120_000;

/**
 * The first value of `look` that is neither undefined nor false.
 * @throws after `ms` milliseconds, naming `what` was waited for.
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  ms = patience,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await pause(15);
  }
}

/**
 * Settles when `count` has come to `enough`, however long that takes: what must not happen is that it stands still. For
 * what consists of many steps, each of which takes as long as the machine is slow.
 * @throws when it has not grown for `ms` milliseconds, naming `what` was waited for.
 */
export async function progress(what: string, count: () => number, enough: number, ms = 60_000): Promise<void> {
  for (let seen = count(); seen < enough; ) {
    const before = seen;
    seen = await eventually(`${what}: ${seen} of ${enough}`, () => count() > before && count(), ms);
  }
}

/** `promise`, or an error that names `what` was waited for when `ms` milliseconds have gone by. */
export async function within<T>(what: string, promise: Promise<T>, ms = patience): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
