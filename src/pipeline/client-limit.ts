// How many requests the client of a request has left, and what a response says of that. `rate-limit` has the algorithm and
// the memory; the stage is in `pipeline/rate-limit`, as this is loaded only with --rate-limit.
//
// The fields are those of draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026): RateLimit-Policy, section 3, with the burst
// in a parameter of our own (3.1); RateLimit, section 4, whose window `t` (4.1.2) ends with the next token, when Retry-After
// ends, too (6).
import type { IncomingMessage } from 'node:http';
import { clientNetwork } from '../client/client-network.js';
import type { Peer } from '../client/peer.js';
import { now } from '../clock.js';
import type { Config } from '../config/config.js';
import { type RateLimit, unitSeconds } from '../config/rate-limit.js';
import type { WorkerEvent } from '../events.js';
import { partOf } from '../memory/parts.js';
import { reportWords, SharedReport } from '../memory/shared-report.js';
import { RateLimiter } from '../rate-limit/limiter.js';
import { type ClientNamer, clientNamer } from './client-namer.js';

/** The name of the policy, as a string of RFC 9651. */
const policyName = '"client"';

const reportEveryMs = 60_000;

export interface Allowance {
  readonly isAllowed: boolean;
  /** The value of RateLimit. */
  readonly rateLimit: string;
  /** Whole seconds until the client gets another token, rounded up. */
  readonly retryAfter: number;
}

export class ClientLimit {
  /** The value of RateLimit-Policy. */
  readonly policy: string;
  readonly #limiter: RateLimiter;
  /** The address of the client. */
  readonly #refusals: SharedReport<string>;
  readonly #nameClient: ClientNamer;
  readonly #header: string | undefined;

  /** @param memory of `mapServerMemory` */
  constructor(
    limit: RateLimit,
    memory: SharedArrayBuffer,
    clients: Config['clients'],
    tell: (event: WorkerEvent) => void,
  ) {
    this.policy = `${policyName};q=${limit.count};w=${unitSeconds[limit.unit]};mpserve-burst=${limit.burst}`;
    this.#limiter = new RateLimiter(limit, memory);
    const words = new Int32Array(memory, partOf(memory, 'refusals').start, reportWords);
    const report = (count: number, remote: string) => tell({ event: 'rate-limited', count, remote });
    this.#refusals = new SharedReport(words, 0, reportEveryMs, now, report);
    this.#nameClient = clientNamer(clients);
    this.#header = limit.header;
  }

  /** Reports refusals that no event loop has reported. */
  flush(): void {
    this.#refusals.flush();
  }

  /** Counts the request, if it is within the limit. */
  take(req: IncomingMessage, peer: Peer): Allowance {
    const named = this.#header === undefined ? undefined : req.headers[this.#header];
    const address = named ? undefined : this.#nameClient(req, peer);
    const name = address === undefined ? `header ${named}` : `ip ${clientNetwork(address)}`;
    const { isAllowed, left, nextMs } = this.#limiter.take(name);
    // The value of a header may be a secret, so the log gets the address in any case.
    if (!isAllowed) this.#refusals.add(address ?? this.#nameClient(req, peer));
    const retryAfter = Math.ceil(nextMs / 1000);
    return { isAllowed, rateLimit: `${policyName};r=${left};t=${retryAfter}`, retryAfter };
  }
}
