// How a new generation, or an added worker, shows that it can serve before the old one goes.

/** Each step settles when the new workers have passed it. @throws Error that says why they have not */
export interface Trial {
  /** Before they get connections. */
  before(): Promise<void>;
  /** While they serve a part of the clients, beside the old generation. Absent where that is not wanted. */
  readonly beside?: (() => Promise<void>) | undefined;
  /** When they have replaced the old generation. */
  after(): Promise<void>;
  /** Rejects when one of them has died or hung, whichever the step; no more of the old generation should be replaced then. */
  readonly failed: Promise<never>;
}

/** While a new generation serves beside the old one, kept-alive connections move to it this often (milliseconds). */
const rebalanceEveryMs = 250;

/** @param rebalance moves some kept-alive connections to the new generation, which would have only new ones otherwise */
export async function tryBeside(trial: Trial, rebalance: () => void): Promise<void> {
  if (!trial.beside) return;
  const rebalancing = setInterval(rebalance, rebalanceEveryMs).unref();
  await trial.beside().finally(() => clearInterval(rebalancing));
}

/** @param failure of the old generation, which was to serve again after `error` */
export function notRolledBack(error: unknown, failure: unknown): Error {
  const [why, whyNot] = [error, failure].map((one) => (one as Error).message);
  return new Error(`${why}; the old generation could not be started again: ${whyNot}`);
}

/** New workers have not passed their trial. */
export class FailedTrial extends Error {
  /** @param reason a clause */
  constructor(reason: string) {
    super(`the new workers failed and are rolled back: ${reason}`);
  }
}
