// Divides a limit among those who keep it together.

/** @returns `parts` whole numbers, each at least 1, that differ by at most 1; they sum to `total` if it is `parts` or more. */
export function divide(total: number, parts: number): number[] {
  const each = Math.floor(total / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(1, each + (i < total % parts ? 1 : 0)));
}
