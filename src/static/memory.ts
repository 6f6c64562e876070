// Keeps what was used lately, up to a number of bytes. What has been used again since it was last looked at stays.

export interface Kept {
  /** Bytes. */
  readonly weight: number;
  wasUsed: boolean;
}

export class Memory<T extends Kept> {
  readonly #maxBytes: number;
  /** With the weight that each had when it was set. */
  readonly #kept = new Map<string, { readonly one: T; readonly weight: number }>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): T | undefined {
    const one = this.#kept.get(key)?.one;
    if (one) one.wasUsed = true;
    return one;
  }

  /** Again if its weight has changed. What is larger than the memory is not kept. */
  set(key: string, one: T): void {
    this.delete(key);
    const { weight } = one;
    if (weight > this.#maxBytes) return;
    this.#kept.set(key, { one, weight });
    this.#bytes += weight;
    this.#evict();
  }

  delete(key: string): void {
    const kept = this.#kept.get(key);
    if (!kept) return;
    this.#kept.delete(key);
    this.#bytes -= kept.weight;
  }

  /** Second chance: a map returns its keys in the order in which they were set. */
  #evict(): void {
    while (this.#bytes > this.#maxBytes) {
      const [key, kept] = this.#kept.entries().next().value as [string, { one: T; weight: number }];
      this.#kept.delete(key);
      if (kept.one.wasUsed) {
        kept.one.wasUsed = false;
        this.#kept.set(key, kept);
      } else this.#bytes -= kept.weight;
    }
  }
}
