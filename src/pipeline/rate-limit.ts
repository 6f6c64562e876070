// --rate-limit: refuses the requests of a client that sends more than its share, with 429 (RFC 6585, section 4), before
// anything is done for them. `client-limit.ts` counts.
import type { IncomingMessage } from 'node:http';
import type { Allowance, ClientLimit } from './client-limit.js';
import type { Connection } from './connection.js';
import { type Answer, refuse } from './failures.js';
import type { OnRefused, Stage } from './stage.js';

export class RateLimitStage {
  readonly #limit: ClientLimit;
  readonly #refused: OnRefused | undefined;

  constructor(limit: ClientLimit, refused: OnRefused | undefined) {
    this.#limit = limit;
    this.#refused = refused;
  }

  flush(): void {
    this.#limit.flush();
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    const allowance = this.#take(req, res.clientConnection);
    if (allowance?.isAllowed === false) return refuse(this.#refusal(allowance), req, res, reqId);
    res.rateLimit = allowance?.rateLimit;
    return next(req, res, reqId);
  };

  /** For a request that does not pass through the stages. @returns undefined if it is within the limit */
  refusalOf(req: IncomingMessage, connection: Connection | undefined): Answer | undefined {
    const allowance = this.#take(req, connection);
    return allowance?.isAllowed === false ? this.#refusal(allowance) : undefined;
  }

  /** @returns undefined for a request of the server itself, which has no limit */
  #take(req: IncomingMessage, connection: Connection | undefined): Allowance | undefined {
    return connection?.isOwn ? undefined : this.#limit.take(req, connection?.client ?? 'unknown');
  }

  #refusal({ retryAfter, rateLimit }: Allowance): Answer {
    const { policy } = this.#limit;
    this.#refused?.('rate-limit');
    return {
      status: 429,
      headers: { 'retry-after': String(retryAfter), ratelimit: rateLimit, 'ratelimit-policy': policy },
    };
  }
}
