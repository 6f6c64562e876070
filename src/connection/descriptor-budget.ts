// Decides whether there are descriptors for another connection. When an accept fails for want of one, libuv closes all
// clients that wait, without an error: so an acceptor must suspend before. Between two counts, which take long, the use is
// estimated from the connections and from the numbers of new descriptors.
import { type DescriptorUse, descriptorUse } from '../os/descriptor-limit.js';

/**
 * How many stay free: for the copy of a listening socket, modules that are loaded late, and files of the app. Each other
 * acceptor may take a connection, and what it suspends with, before this one knows, and then one more when it has none.
 */
const reserve = { share: 1 / 16, min: 4, max: 64, eachAcceptor: 3 };

export class DescriptorBudget {
  readonly #each: number;
  readonly #acceptors: number;
  readonly #count: () => DescriptorUse;
  #limit = Number.POSITIVE_INFINITY;
  /** In use without a connection; undefined before the first count. */
  #base: number | undefined;
  #used = 0;
  /** The number of connections in the process when so many were in use. */
  #usedAt = 0;

  /**
   * @param each how many a connection takes in this process, also for a worker that starts for it
   * @param acceptors in this process, at least 1
   */
  constructor(each: number, acceptors: number, count = descriptorUse) {
    this.#each = each;
    this.#acceptors = acceptors;
    this.#count = count;
  }

  /** @param connections in this process, of all acceptors, here and below */
  count(connections: number): void {
    const { used, limit } = this.#count();
    this.#limit = limit;
    this.#base ??= used - connections;
    this.#used = used;
    this.#usedAt = connections;
  }

  /** @param lowestFree the number of a descriptor that was opened just now: all below it are in use */
  note(connections: number, lowestFree = 0): void {
    if (this.#base === undefined) this.count(connections);
    if (lowestFree < this.#estimate(connections)) return;
    this.#used = lowestFree + 1;
    this.#usedAt = connections;
  }

  /** @param own of `connections`: those of this acceptor */
  isUsedUp(own: number, connections: number): boolean {
    const { share, min, max, eachAcceptor } = reserve;
    const forProcess = Math.min(max, Math.max(min, Math.floor(this.#limit * share)));
    // One connection is served wherever it can be, or with a low limit none ever would.
    const kept = own === 0 ? 0 : forProcess + eachAcceptor * (this.#acceptors - 1);
    return this.#estimate(connections) + this.#each + kept > this.#limit;
  }

  /** As it is estimated. */
  use(connections: number): DescriptorUse {
    return { used: Math.min(this.#estimate(connections), this.#limit), limit: this.#limit };
  }

  /** Not less than the connections will take: a worker that starts for one has not opened all of its own yet. */
  #estimate(connections: number): number {
    const since = connections - this.#usedAt;
    return Math.max(this.#used + this.#each * since, (this.#base ?? 0) + this.#each * connections);
  }
}
