// Which worker each session is at (--sticky): its connections, or requests, go there, and others by the policy. A session whose worker has
// gone, or that is not known although a worker must have begun it, is placed by the policy again, and counted.
import type { SessionKey } from '../client/session.js';

/** Sessions that are remembered of each kind; those that have not been asked for the longest are forgotten. */
const maxSessions = 100_000;
/** From the first session that is placed again until its report (milliseconds); further ones are counted meanwhile. */
const reportAfterMs = 1000;

export class Sessions {
  /** That workers have begun. */
  readonly #begun: Places;
  /** That clients have named: apart, so that a client who names many makes none of the others forgotten. */
  readonly #named: Places;
  readonly #onPlacedAgain: (count: number) => void;
  readonly #isBegunByWorkers: boolean;
  #placedAgain = 0;

  /**
   * @param onPlacedAgain told how many sessions have been placed whose workers have gone, or that are not known
   * @param isBegunByWorkers false where the first connection of a client begins its session: one that is not known is new
   */
  constructor(onPlacedAgain: (count: number) => void, isBegunByWorkers = true, max = maxSessions) {
    this.#isBegunByWorkers = isBegunByWorkers;
    this.#begun = new Places(max);
    this.#named = new Places(max);
    this.#onPlacedAgain = onPlacedAgain;
  }

  knows(session: SessionKey): boolean {
    return this.#find(session) !== undefined;
  }

  /**
   * Settles when what workers have said by now of the session is known here: the response that begins it may be at its client
   * before the message of its worker has been read. A turn of the event loop may be under way, so it takes two.
   */
  async settle(session: SessionKey): Promise<void> {
    for (let turn = 0; turn < 2 && !this.knows(session); turn++) await new Promise((next) => setImmediate(next));
  }

  /** The worker has begun the session in a response. */
  begin(session: SessionKey, worker: object): void {
    this.#begun.set(session, worker);
  }

  /** Nothing of the session has been at its worker yet, and another one has it. */
  move(session: SessionKey, worker: object): void {
    (this.#find(session) ?? this.#named).set(session, worker);
  }

  /**
   * @param session of the connection, or request, that is placed; undefined if it has none
   * @param choose the policy
   * @returns the worker of the session if it is one of `candidates`, otherwise what `choose` returns
   */
  place<C extends object>(
    session: SessionKey | undefined,
    candidates: readonly C[],
    choose: () => C | undefined,
  ): C | undefined {
    if (session === undefined) return choose();
    const known = this.#find(session);
    const places = known ?? this.#named;
    const found = candidates.find((one) => places.has(session, one));
    if (found) return found;
    const chosen = choose();
    if (!chosen) return undefined;
    places.set(session, chosen);
    if (known || this.#isBegunByWorkers) this.#count();
    return chosen;
  }

  #count(): void {
    if (this.#placedAgain++ > 0) return;
    setTimeout(() => {
      this.#onPlacedAgain(this.#placedAgain);
      this.#placedAgain = 0;
    }, reportAfterMs).unref();
  }

  #find(session: SessionKey): Places | undefined {
    return [this.#begun, this.#named].find((places) => places.knows(session));
  }
}

/** Numbers of workers by session: a worker that has gone is not kept. */
class Places {
  /** The one that has not been asked for the longest comes first. */
  readonly #numbers = new Map<SessionKey, number>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  knows(session: SessionKey): boolean {
    return this.#numbers.has(session);
  }

  has(session: SessionKey, worker: object): boolean {
    const isThere = this.#numbers.get(session) === numberOf(worker);
    if (isThere) this.set(session, worker);
    return isThere;
  }

  set(session: SessionKey, worker: object): void {
    this.#numbers.delete(session);
    this.#numbers.set(session, numberOf(worker));
    if (this.#numbers.size <= this.#max) return;
    for (const oldest of this.#numbers.keys()) {
      this.#numbers.delete(oldest);
      return;
    }
  }
}

const numbers = new WeakMap<object, number>();
let lastNumber = 0;

function numberOf(worker: object): number {
  const number = numbers.get(worker) ?? ++lastNumber;
  numbers.set(worker, number);
  return number;
}
