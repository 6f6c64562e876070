// Time that only goes forward. Not `performance.now()`: the first use of `performance` loads modules for half a
// millisecond, which a child that serves one connection would pay on every connection.

/** Milliseconds since this process began, with fractions. */
export function now(): number {
  return process.uptime() * 1000;
}
