// A limit on the time for an answer. The store is not to blame if this event loop was blocked: answers that have come meanwhile
// count, and those that could not be asked for get their time once more.
import { StoreFailure } from './failure.js';

/** How late a timer is when the event loop was blocked, by its own time. */
const blockedFraction = 1 / 2;

/** Rejects with a StoreFailure when it takes longer; what `promise` does after that is ignored. @param now in milliseconds */
export async function inTime<T>(ms: number, promise: Promise<T>, now: () => number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const startedAt = now();
    const fail = () => reject(new StoreFailure('timeout', `no answer within ${ms} ms`));
    // Sockets are read after timers.
    const giveUp = () => void setImmediate(fail);
    timer = setTimeout(() => {
      if (now() - startedAt < ms * (1 + blockedFraction)) return giveUp();
      timer = setTimeout(giveUp, ms);
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
