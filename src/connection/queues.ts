// The queues in which clients may wait: once something has accepted on a queue, the kernel goes on to put clients there.
// One whose worker is missing is the host's to look after.

export class Queues {
  readonly #used: Set<number>;

  /** @param used descriptors of those in which clients may wait already */
  constructor(used: Iterable<number>) {
    this.#used = new Set(used);
  }

  /** @param accepted those on which something accepts now, which is remembered. @returns the others */
  notAccepted(accepted: readonly number[]): readonly number[] {
    for (const fd of accepted) this.#used.add(fd);
    return [...this.#used].filter((fd) => !accepted.includes(fd));
  }
}
