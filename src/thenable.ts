// Whether a value is a promise of any library. Not `instanceof Promise`, as apps have others.

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
