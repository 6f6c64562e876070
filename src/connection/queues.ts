// The queues in which the kernel has clients wait, as a host sees them: which of them have had a worker, so that clients may
// be there. One whose worker is missing is the host's to look after.

export class Queues {
  readonly #used: Set<number>;

  /** @param used descriptors of those in which clients may wait already */
  constructor(used: Iterable<number>) {
    this.#used = new Set(used);
  }

  /** @returns those in which clients may wait, without `accepted`, on which something accepts */
  except(accepted: readonly number[]): readonly number[] {
    for (const fd of accepted) this.#used.add(fd);
    return [...this.#used].filter((fd) => !accepted.includes(fd));
  }
}
