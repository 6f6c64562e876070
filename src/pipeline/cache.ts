// --cache: answers requests from memory, has the app answer the others, and has requests for the same wait for one of them. In
// front of all stages that are about the app: a hit takes no place in it, and no entry in the journal. `src/cache` has the
// rules.
import type { IncomingMessage } from 'node:http';
import { answerOf, hasNoBody } from '../cache/answer.js';
import { Flight, type Landing } from '../cache/flight.js';
import { hasCookie, headerOf, type RequestFacts, readFacts } from '../cache/request-facts.js';
import type { StoredResponse } from '../cache/stored-response.js';
import { mayReplaceError, useOf, wishesOf } from '../cache/use.js';
import type { Config } from '../config/config.js';
import type { CacheOutcome } from '../metrics/layout.js';
import { sendAnswer } from './answering.js';
import { Asking, type CacheParts, type Exchange, markOf, setOutcome } from './asking.js';
import type { Refresher } from './cache-refresh.js';
import type { refuse } from './failures.js';
import { invalidation, isSafe } from './invalidation.js';
import type { PipelineResponse } from './response.js';
import type { Handler, OnClose, Stage } from './stage.js';

/** After so many clients have disconnected that would have got what it waits for, a request waits no more. */
const maxWaits = 3;

export interface CacheOptions {
  readonly parts: CacheParts;
  readonly bypass: Pick<Config['cache'], 'cacheBypass' | 'cacheBypassCookie'>;
  /** --health-path: the app is asked each time. */
  readonly healthPath: readonly string[];
  readonly refresher: Refresher;
  /** Passed, as importing it would be one more file. */
  readonly refuse: typeof refuse;
}

export class ResponseCache {
  readonly #options: CacheOptions;
  readonly #parts: CacheParts;
  readonly #flights = new Map<string, Flight>();
  readonly #invalidate: (res: PipelineResponse) => void;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#parts = options.parts;
    this.#invalidate = invalidation(options.parts.store);
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    const { reqMethod: method, reqUrl: url } = res;
    if (res.clientConnection?.isOwn) return this.#refresh(next, req, res, reqId);
    if (method !== 'GET' && method !== 'HEAD') {
      if (!isSafe(method)) res.onStored = this.#invalidate;
      return next(req, res, reqId);
    }
    if (url.charCodeAt(0) !== slash) return next(req, res, reqId); // the form for proxies
    const facts = readFacts(url, req.rawHeaders);
    if (facts.isForApp || this.#bypasses(url, facts)) return this.#pass(next, req, res, reqId, 'bypass', 'bypass');
    const found = this.#parts.store.get(facts.key, url, req.rawHeaders);
    if (found instanceof Promise) {
      // For a client that has disconnected meanwhile the app need do nothing.
      const isGone = () => res.destroyed || req.socket.destroyed;
      return found.then((all) => (isGone() ? undefined : this.#answer(next, req, res, reqId, facts, all)));
    }
    return this.#answer(next, req, res, reqId, facts, found);
  };

  /** No request comes any more. */
  end(): void {
    this.#parts.store.close?.();
  }

  readonly onClose: OnClose = (res) => {
    res.recording?.lose();
  };

  #answer(
    next: Handler,
    req: IncomingMessage,
    res: PipelineResponse,
    reqId: string,
    facts: RequestFacts,
    found: readonly StoredResponse[],
  ): unknown {
    const { begunAt: time } = res;
    if (facts.isPlain && res.reqMethod === 'GET') {
      const hit = found.length > 0 ? found.find((one) => one.isFor(req.rawHeaders)) : undefined;
      if (hit?.isFreshAt(time) && !hasNoBody(hit.status)) return this.#hit(res, hit, time);
      // Most of what may not be stored is asked for again and again.
      if (found.length === 0 && this.#parts.unstored.has(markOf(facts), time)) {
        return this.#pass(next, req, res, reqId, 'miss', 'uri-miss');
      }
    }
    return this.#choose({ req, res, reqId, next, facts, wishes: wishesOf(facts), waits: 0 }, found, 'others');
  }

  /** As `sendAnswer`, for most requests. */
  #hit(res: PipelineResponse, hit: StoredResponse, time: number): undefined {
    setOutcome(this.#parts, res, 'hit');
    res.statusCode = hit.status;
    res.statusMessage = hit.message;
    res.sendDate = false;
    res.fieldLines = hit.hitTextAt(time);
    if (typeof hit.body === 'string') res.end(hit.body, 'latin1');
    else res.end(hit.body);
  }

  #choose(exchange: Exchange, found: readonly StoredResponse[], company: Company): unknown {
    const { req, res, reqId, next, facts, wishes } = exchange;
    const time = this.#parts.now();
    const stored = found.find((one) => isUsable(one, exchange));
    const use = stored ? useOf(stored, wishes, time) : 'validate';
    if (stored && use !== 'validate') {
      const ttl = Math.floor(stored.freshness.lifetime - stored.ageAt(time));
      setOutcome(this.#parts, res, use === 'fresh' ? 'hit' : 'stale');
      sendAnswer(res, answerOf(stored, facts, time, `hit; ttl=${ttl}`));
      if (use === 'refresh') this.#refreshLater(exchange, stored, flightKey(exchange, found));
      return undefined;
    }
    if (wishes.has('only-if-cached')) return this.#refuse(exchange);
    if (wishes.has('no-store')) return this.#pass(next, req, res, reqId, 'miss', 'request');
    const reason = stored ? 'stale' : found.length > 0 ? 'vary-miss' : 'uri-miss';
    return this.#fetch(exchange, stored, flightKey(exchange, found), reason, company);
  }

  #refreshLater(exchange: Exchange, stored: StoredResponse, key: string): void {
    if (!this.#parts.flights?.isTaken(key)) this.#options.refresher.refresh(exchange, stored, key);
  }

  #fetch(
    exchange: Exchange,
    stored: StoredResponse | undefined,
    key: string,
    reason: string,
    company: Company,
  ): unknown {
    const { res, facts } = exchange;
    // A response to a part or a condition is none for others, unless the cache asks for the whole instead.
    const isWhole = facts.range === undefined && facts.ifNoneMatch === undefined && facts.ifModifiedSince === undefined;
    const isShared = res.reqMethod === 'GET' && (isWhole || stored?.hasValidator === true);
    if (company instanceof Flight) return new Asking(this.#parts, exchange, stored, company).ask(reason);
    if (!isShared || company === 'alone' || this.#parts.unshared.has(facts.key, res.begunAt)) {
      return new Asking(this.#parts, exchange, stored, new Flight()).ask(reason);
    }
    const known = this.#flights.get(key);
    const { flight, isOwn } = known ? { flight: known, isOwn: false } : this.#depart(key);
    if (!isOwn) return this.#wait(exchange, stored, flight, key);
    return new Asking(this.#parts, exchange, stored, flight).ask(reason);
  }

  /** @returns the flight of another event loop, which lands when that does, if it has one for the key */
  #depart(key: string): { readonly flight: Flight; readonly isOwn: boolean } {
    const place = this.#parts.flights?.take(key, (landing) => flight.land(landing));
    const flight = new Flight((landing) => {
      this.#flights.delete(key);
      place?.end(landing);
    });
    this.#flights.set(key, flight);
    return { flight, isOwn: place?.isOwn ?? true };
  }

  /** What comes after the waiting runs in the context of this request (AsyncLocalStorage), not in that of the other one. */
  async #wait(exchange: Exchange, before: StoredResponse | undefined, flight: Flight, key: string): Promise<unknown> {
    const { req, res, facts, wishes } = exchange;
    res.isQueued = true;
    const landing = await landingOf(flight, res);
    res.isQueued = false;
    if (!landing || res.destroyed || req.socket.destroyed) return undefined;
    const time = this.#parts.now();
    if (landing === 'failed' && before && mayReplaceError(before, wishes, time)) {
      setOutcome(this.#parts, res, 'stale');
      return sendAnswer(res, answerOf(before, facts, time, 'hit; fwd=stale; collapsed'));
    }
    const got = this.#parts.store.get(facts.key, res.reqUrl, req.rawHeaders);
    const found = got instanceof Promise ? await got : got;
    if (res.destroyed || req.socket.destroyed) return undefined;
    const stored = landing === 'stored' ? found.find((one) => isUsable(one, exchange)) : undefined;
    if (stored && useOf(stored, wishes, time) !== 'validate') {
      setOutcome(this.#parts, res, 'coalesced');
      return sendAnswer(res, answerOf(stored, facts, time, 'hit; fwd=miss; collapsed'));
    }
    exchange.waits++;
    const isOther = landing === 'stored' && flightKey(exchange, found) !== key;
    const mayWait = (landing === 'gone' || isOther) && exchange.waits < maxWaits;
    return this.#choose(exchange, found, landing === 'late' ? flight : mayWait ? 'others' : 'alone');
  }

  /** Of a request of the server itself: only those of the refresher concern the cache. */
  #refresh(next: Handler, req: IncomingMessage, res: PipelineResponse, reqId: string): unknown {
    const job = this.#options.refresher.jobOf(reqId);
    if (!job) return next(req, res, reqId);
    const { facts, wishes, stored, key } = job;
    const flight = this.#flights.has(key) ? new Flight() : this.#depart(key).flight;
    return new Asking(this.#parts, { req, res, reqId, next, facts, wishes, waits: 0 }, stored, flight).ask('stale');
  }

  #bypasses(url: string, { cookie }: RequestFacts): boolean {
    const { healthPath, bypass } = this.#options;
    if (hasCookie(cookie, bypass.cacheBypassCookie)) return true;
    if (healthPath.length === 0 && bypass.cacheBypass.length === 0) return false;
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    if (healthPath.includes(path)) return true;
    return bypass.cacheBypass.some((one) => path === one || path.startsWith(one.endsWith('/') ? one : `${one}/`));
  }

  /** The app answers, and nothing is stored. @param reason for the field Cache-Status */
  #pass(
    next: Handler,
    req: IncomingMessage,
    res: PipelineResponse,
    reqId: string,
    outcome: CacheOutcome,
    reason: string,
  ): unknown {
    setOutcome(this.#parts, res, outcome);
    res.fieldLines = `cache-status: mpserve; fwd=${reason}\r\n`;
    return next(req, res, reqId);
  }

  #refuse({ req, res, reqId }: Exchange): void {
    setOutcome(this.#parts, res, 'miss');
    this.#options.refuse({ status: 504 }, req, res, reqId); // RFC 9111, section 5.2.1.7
  }
}

/** @returns undefined if the client disconnects before */
function landingOf(flight: Flight, res: PipelineResponse): Promise<Landing | undefined> {
  return new Promise((resolve) => {
    const left = () => {
      stop();
      resolve(undefined);
    };
    const stop = flight.wait((landing) => {
      res.off('close', left);
      resolve(landing);
    });
    res.once('close', left);
  });
}

/**
 * Whether a request may wait for the same one of others, asks for itself, or asks in place of one that takes long, for all that
 * wait for that.
 */
type Company = 'others' | 'alone' | Flight;

const slash = '/'.charCodeAt(0);

function isUsable(stored: StoredResponse, { req, facts }: Exchange): boolean {
  return stored.isFor(req.rawHeaders) && (!facts.hasAuthorization || stored.freshness.isForAuthorized);
}

/** Requests with the same one are likely to get the same response. */
function flightKey({ req, facts }: Exchange, found: readonly StoredResponse[]): string {
  let key = facts.key;
  for (const [name] of found[0]?.selecting ?? []) key += `\n${name}: ${headerOf(req.rawHeaders, name) ?? ''}`;
  return key;
}
