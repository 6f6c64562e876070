// The last items of a sequence, up to a fixed number.

export class Ring<T> {
  readonly #capacity: number;
  readonly #items: T[] = [];
  #end = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(item: T): void {
    this.#items[this.#end % this.#capacity] = item;
    this.#end++;
  }

  /** How many items there have been. */
  get end(): number {
    return this.#end;
  }

  /** Those of the items `from` to `to` (exclusive; numbers as `end` has them) that it still has, the oldest first. */
  slice(from: number, to: number): readonly T[] {
    const first = Math.max(from, this.#end - this.#capacity, 0);
    const length = Math.max(0, Math.min(to, this.#end) - first);
    return Array.from({ length }, (_, i) => this.#items[(first + i) % this.#capacity] as T);
  }
}
