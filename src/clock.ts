// Time that only goes forward. Not `performance.now()`: the first use of `performance` loads modules for half a
// millisecond, which a child that serves one connection would pay on every connection. Nor `process.uptime()`, which
// takes twice as long and differs from process to process.

/** Milliseconds on the monotonic clock of the system, with fractions: the same for all processes of the machine. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Whole milliseconds until `deadline`, a time of `now()`; 0 once it has passed. */
export function until(deadline: number): number {
  return Math.max(0, Math.ceil(deadline - now()));
}

/** One that has said that its connections still migrate says so again long before so many milliseconds. */
export const migratingMs = 10_000;

/** Settles when `promise` does, or after `ms` milliseconds. Never rejects. */
export async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]).catch(() => {});
  clearTimeout(timer);
}
