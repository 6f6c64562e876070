// A request that the cache has the app answer: what becomes of the response, for the cache, for its client, and for those that
// wait for the same.
import type { IncomingMessage } from 'node:http';
import { type Answer, answerOf } from '../cache/answer.js';
import type { Directives } from '../cache/directives.js';
import type { Flight } from '../cache/flight.js';
import { type Freshness, type FreshnessRules, freshnessOf } from '../cache/freshness.js';
import type { MarkedKeys } from '../cache/marked-keys.js';
import type { RequestFacts } from '../cache/request-facts.js';
import { fieldOf, type ResponseHead, readHead } from '../cache/response-head.js';
import { type Selecting, selectingOf } from '../cache/selecting.js';
import type { CacheStore, Flights } from '../cache/store.js';
import { joinBody, mergedHead, StoredResponse } from '../cache/stored-response.js';
import { mayReplaceError } from '../cache/use.js';
import type { CacheOutcome } from '../metrics/layout.js';
import { isThenable } from '../thenable.js';
import { sendAnswer } from './answering.js';
import { conditionOn } from './conditions.js';
import { Recording, type RecordingListener } from './recording.js';
import type { PipelineResponse } from './response.js';
import type { Handler } from './stage.js';

/** A request that the cache could answer. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: PipelineResponse;
  readonly reqId: string;
  readonly next: Handler;
  readonly facts: RequestFacts;
  readonly wishes: Directives;
  /** How often it has waited for the response to another one. */
  waits: number;
}

/** What all requests of a cache share. */
export interface CacheParts {
  readonly store: CacheStore;
  /** undefined if each event loop has its own store. */
  readonly flights: Flights | undefined;
  readonly rules: FreshnessRules;
  /** Of a body: the largest that is stored, and all that are being recorded (bytes). */
  readonly maxBodyBytes: number;
  readonly maxRecordedBytes: number;
  /** Keys whose responses may not be stored, and those that need a question to the app each time. */
  readonly unstored: MarkedKeys;
  readonly unshared: MarkedKeys;
  readonly recorded: { bytes: number };
  /** `clock.ts`: passed, as importing it would be one more file. */
  readonly now: () => number;
  readonly onOutcome: (outcome: CacheOutcome) => void;
  readonly onStored: () => void;
}

export class Asking implements RecordingListener {
  readonly #parts: CacheParts;
  readonly #exchange: Exchange;
  /** What is stored, and may not be used without asking. */
  readonly #stored: StoredResponse | undefined;
  readonly #flight: Flight;
  /** While its body is recorded. */
  #head: ResponseHead | undefined;
  #freshness: Freshness | undefined;
  #selecting: Selecting = [];
  #headAt = 0;

  constructor(parts: CacheParts, exchange: Exchange, stored: StoredResponse | undefined, flight: Flight) {
    this.#parts = parts;
    this.#exchange = exchange;
    this.#stored = stored;
    this.#flight = flight;
  }

  /** @param reason for the field Cache-Status */
  ask(reason: string): unknown {
    const { req, res, reqId, next } = this.#exchange;
    if (this.#stored?.hasValidator) conditionOn(req, this.#stored);
    res.fieldLines = `cache-status: mpserve; fwd=${reason}\r\n`;
    new Recording(res, this, this.#stored !== undefined);
    try {
      const outcome = next(req, res, reqId);
      return isThenable(outcome) ? outcome.then(undefined, this.#failed) : outcome;
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** The client gets a stale response if it may. The error is reported all the same. */
  readonly #failed = (error: unknown): never => {
    const { req, res, facts, wishes } = this.#exchange;
    const stored = this.#stored;
    this.#flight.land('failed');
    const time = this.#parts.now();
    if (stored && !res.headersSent && !req.socket.destroyed && mayReplaceError(stored, wishes, time)) {
      setOutcome(this.#parts, res, 'stale');
      for (const name of res.getHeaderNames()) res.removeHeader(name);
      res.recording?.lose();
      sendAnswer(res, answerOf(stored, facts, time, 'hit; fwd=stale'));
    }
    throw error;
  };

  onHead(text: string, status: number, message: string): 'record' | 'pass' | Answer {
    const { res, facts, wishes } = this.#exchange;
    const stored = this.#stored;
    const time = this.#parts.now();
    if (!stored && this.#parts.rules.cacheTtl === 0 && !speaksOfCaches.test(text))
      return this.#cannotStore(status, time);
    const head = readHead(text, status, message);
    if (stored?.hasValidator && status === 304) return this.#validated(stored, head, time);
    if (stored && isFailure(status) && mayReplaceError(stored, wishes, time)) {
      this.#flight.land('failed');
      setOutcome(this.#parts, res, 'stale');
      return answerOf(stored, facts, time, `hit; fwd=stale; fwd-status=${status}`);
    }
    if (res.reqMethod !== 'GET') {
      setOutcome(this.#parts, res, 'miss');
      this.#flight.land('unshared');
      if (stored && differs(stored, head)) void this.#parts.store.drop(facts.key, stored);
      return 'pass';
    }
    return this.#mayStore(head, time) ? 'record' : this.#cannotStore(status, time);
  }

  #mayStore(head: ResponseHead, time: number): boolean {
    const { req, res, facts } = this.#exchange;
    const { rules, maxBodyBytes, unshared } = this.#parts;
    const freshness = freshnessOf(facts, head, Date.now(), (time - res.begunAt) / 1000, rules);
    const selecting = freshness && selectingOf(fieldOf(head, 'vary'), req.rawHeaders);
    if (!freshness || !selecting) return false;
    if (Number(fieldOf(head, 'content-length') ?? 0) > maxBodyBytes || fieldOf(head, 'trailer') !== undefined)
      return false;
    setOutcome(this.#parts, res, 'miss');
    // Those that wait could not use it without asking the app once more.
    if (freshness.lifetime <= freshness.initialAge) {
      unshared.add(facts.key, time);
      this.#flight.land('unshared');
    }
    this.#head = head;
    this.#freshness = freshness;
    this.#selecting = selecting;
    this.#headAt = time;
    return true;
  }

  #cannotStore(status: number, time: number): 'pass' {
    const { res, facts } = this.#exchange;
    setOutcome(this.#parts, res, 'miss');
    // An error, or a response to a range or a condition, says nothing of others.
    if (status < 500 && !ofSome.has(status)) {
      this.#parts.unstored.add(markOf(facts), time);
      if (this.#stored) void this.#parts.store.drop(facts.key, this.#stored);
    }
    this.#flight.land(isFailure(status) ? 'failed' : 'unshared');
    return 'pass';
  }

  /** The app has said that what is stored is still right (RFC 9111, section 4.3.4). */
  #validated(stored: StoredResponse, head: ResponseHead, time: number): Answer {
    const { res, facts } = this.#exchange;
    const { store, rules } = this.#parts;
    const merged = mergedHead(stored, head);
    const freshness = freshnessOf(facts, merged, Date.now(), (time - res.begunAt) / 1000, rules);
    const etag = fieldOf(head, 'etag');
    setOutcome(this.#parts, res, 'revalidated');
    const isOther = etag !== undefined && !isSameTag(etag, stored.etag);
    if (!freshness || isOther) {
      void store.drop(facts.key, stored);
      this.#flight.land('unshared');
      // What the 304 adds may be for this client alone, as a cookie is.
      const once = isOther ? stored : stored.refreshed(merged, stored.freshness, time, res.begunAt);
      return answerOf(once, facts, time, 'fwd=stale; fwd-status=304');
    }
    const fresh = stored.refreshed(merged, freshness, time, res.begunAt);
    void this.#put(fresh);
    return answerOf(fresh, facts, time, 'hit; fwd=stale; fwd-status=304');
  }

  onBody(pieces: readonly Buffer[], bytes: number): void {
    const head = this.#head;
    const freshness = this.#freshness;
    if (!head || !freshness) return;
    const declared = fieldOf(head, 'content-length');
    if (bytes > this.#parts.maxBodyBytes || (declared !== undefined && Number(declared) !== bytes)) {
      this.#flight.land('unshared');
      return;
    }
    this.#parts.onStored();
    const stored = new StoredResponse({
      head,
      freshness,
      body: joinBody(pieces, bytes),
      selecting: this.#selecting,
      storedAt: this.#headAt,
      requestedAt: this.#exchange.res.begunAt,
    });
    void this.#put(stored);
  }

  async #put(stored: StoredResponse): Promise<void> {
    const { res, facts } = this.#exchange;
    const putting = this.#parts.store.put(facts.key, res.reqUrl, stored);
    if (putting instanceof Promise) await putting;
    this.#flight.land('stored');
  }

  onLost(): void {
    const { res } = this.#exchange;
    setOutcome(this.#parts, res, 'miss');
    this.#flight.land(res.isAnsweredEarly ? 'failed' : res.writableEnded || !res.destroyed ? 'unshared' : 'gone');
  }

  reserve(bytes: number): boolean {
    const { recorded, maxRecordedBytes } = this.#parts;
    if (recorded.bytes + bytes > maxRecordedBytes) return false;
    recorded.bytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#parts.recorded.bytes -= bytes;
  }
}

/** The first one counts, and none of a request of the server itself. */
export function setOutcome({ onOutcome }: CacheParts, res: PipelineResponse, outcome: CacheOutcome): void {
  if (res.cacheOutcome !== undefined || res.clientConnection?.isOwn) return;
  res.cacheOutcome = outcome;
  onOutcome(outcome);
}

/** A client with a cookie may get what others do not. */
export function markOf({ key, cookie, hasAuthorization }: RequestFacts): string {
  return cookie === undefined && !hasAuthorization ? key : `${key}\npersonal`;
}

/** Without one of these, a response is not for caches. */
const speaksOfCaches = /\n(?:cache-control|expires|etag|last-modified|pragma):/i;

/** Partial Content, Not Modified, Precondition Failed, Range Not Satisfiable. */
const ofSome = new Set([206, 304, 412, 416]);

/** Those of RFC 5861, section 4. */
function isFailure(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504;
}

function isSameTag(one: string, other: string | undefined): boolean {
  return one.replace(/^W\//, '') === other?.replace(/^W\//, '');
}

/** Whether a response to HEAD tells of another body (RFC 9111, section 4.3.5). */
function differs(stored: StoredResponse, head: ResponseHead): boolean {
  if (head.status >= 500) return false;
  if (head.status !== stored.status) return true;
  const [etag, lastModified, length] = ['etag', 'last-modified', 'content-length'].map((name) => fieldOf(head, name));
  if (etag !== undefined && etag !== stored.etag) return true;
  if (lastModified !== undefined && lastModified !== stored.lastModified) return true;
  return length !== undefined && Number(length) !== stored.bodyBytes;
}
