// Divides a limit of the server among its workers or threads.

/** @returns `parts` integers of at least 1 that differ by at most 1. Their sum is `total`, or `parts` if that is more */
export function divide(total: number, parts: number): number[] {
  const each = Math.floor(total / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(1, each + (i < total % parts ? 1 : 0)));
}
