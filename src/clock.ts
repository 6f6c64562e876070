// Monotonic time. Not `performance.now()`: the first use of `performance` loads modules for 0.5 ms, which a worker for one
// connection would pay each time. Not `process.uptime()`: it takes twice as long and differs between processes.

/** Milliseconds on the monotonic clock of the system, with fractions. The same in all processes of the machine. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** @param deadline a time of `now()`. @returns whole milliseconds; 0 once it has passed */
export function msUntil(deadline: number): number {
  return Math.max(0, Math.ceil(deadline - now()));
}

const neverNotified = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread. */
export function sleepSync(ms: number): void {
  Atomics.wait(neverNotified, 0, 0, ms);
}

/** A worker whose connections still migrate reports that well within this time. */
export const migratingReportTimeoutMs = 10_000;

/**
 * Settles when `promise` does, or after `ms` milliseconds. Never rejects.
 * @returns the value of `promise`; undefined if it rejects or takes longer
 */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  const value = await Promise.race([promise, timeout]).catch(() => undefined);
  clearTimeout(timer);
  return value;
}
