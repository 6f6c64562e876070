// Time that only goes forward. Not `performance.now()`: the first use of `performance` loads modules for half a
// millisecond, which a child that serves one connection would pay on every connection.

/** Milliseconds since this process began, with fractions. */
export function now(): number {
  return process.uptime() * 1000;
}

/** Whole milliseconds until `deadline`, a time of `now()`; 0 once it has passed. */
export function until(deadline: number): number {
  return Math.max(0, Math.ceil(deadline - now()));
}

/** Settles when `promise` does, or after `ms` milliseconds. Never rejects. */
export async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]).catch(() => {});
  clearTimeout(timer);
}
