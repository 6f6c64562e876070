/** The first of `all` that `is`, or else the first; undefined when there is none. */
export function first<T>(all: Iterable<T>, is: (one: T) => boolean): T | undefined {
  const list = [...all];
  return list.find(is) ?? list[0];
}
