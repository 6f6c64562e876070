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

/** A worker whose connections still migrate reports that well within this time. */
export const migratingReportTimeoutMs = 10_000;

/** Settles when `promise` does, or after `ms` milliseconds. Never rejects. */
export async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, timeout]).catch(() => {});
  clearTimeout(timer);
}
