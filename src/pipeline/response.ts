// The response class of the pipeline. It has the state of the stages, adds the request id while Node writes the head,
// and reports when the last bytes are written. Setting the id when the request begins would put all other headers on
// Node's slow path (docs/decisions/0006-request-id-at-write-head.md).
import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { isHeader } from '../http/header.js';
import { noSlot } from '../inflight/journal-writer.js';
import type { RecordedBody } from '../inflight/recorded-body.js';
import type { CacheOutcome } from '../metrics/layout.js';
import type { WorkerIdentity } from '../reports/report.js';
// biome-ignore lint/suspicious/noImportCycles: types only; a connection has responses, and a response its connection
import type { Connection } from './connection.js';
// biome-ignore lint/suspicious/noImportCycles: types only; a response may be an event stream, which has its response
import type { EventStream } from './event-stream.js';
import { workerLine } from './forwarding.js';

export const idHeader = 'x-request-id';

/** As Node takes them; with `setHeader`, those that it has stored, by their names in lower case. */
export type Headers = OutgoingHttpHeaders | readonly OutgoingHttpHeader[] | readonly (readonly string[])[];
type StoreHeader = (this: PipelineResponse, firstLine: string, headers: Headers | null | undefined) => void;

/** Follows a response for the cache. */
export interface Recorder {
  /** The response is over, or is none that can be stored after all. */
  lose(): void;
}

/** Changes the head of a response. */
export interface HeadFilter {
  /** @param headers as Node is about to write them. @returns those that it writes */
  filter(res: PipelineResponse, headers: Headers | null | undefined): Headers | null | undefined;
}

/** A response, and what the stages know of it. */
export interface PipelineResponse extends ServerResponse<IncomingMessage> {
  reqId: string;
  /** As the client has sent them: the app may change those of the request. */
  reqMethod: string;
  reqUrl: string;
  /** undefined if the socket was not adopted by the pipeline. */
  clientConnection: Connection | undefined;
  /** The response to the next request on the connection, which waits for this one (pipelining). */
  nextQueued: PipelineResponse | undefined;
  /** When the request began, in milliseconds of `clock.ts`. */
  begunAt: number;
  /** When it was over, or will be at once, for --admin; 0 before. */
  endedAt: number;
  /** The request's entry in the in-flight journal. */
  entry: number;
  /** The request's body in the in-flight journal; undefined without a body. */
  recordedBody: RecordedBody | undefined;
  /** The request waits for a place in the app (--max-inflight). */
  isQueued: boolean;
  /** The app has been called; else the server itself has answered. */
  isInApp: boolean;
  /** The server has answered in place of the app, which may still work on the request. */
  isAnsweredEarly: boolean;
  /** It was not complete by --request-deadline. */
  isOverdue: boolean;
  /** The thread that has the request; undefined where the app runs on this event loop. */
  tid: number | undefined;
  /** The process that has the request; undefined where this one has it. */
  pid: number | undefined;
  /** What the route matches that has the request; undefined without routes. */
  route: string | undefined;
  /** Told to the worker that has forwarded the request; undefined where the client has sent it here. */
  identity: WorkerIdentity | undefined;
  /** Called when the response begins. */
  onHead: OnHead | undefined;
  /** Called when the response begins, before `onHead`. */
  onHeaders: ((headers: Headers | null | undefined) => void) | undefined;
  /** Called after `onHead`; it may change `fieldLines` as well. */
  headFilter: HeadFilter | undefined;
  /** Fields of the server, each with CR LF, that need no check; undefined without any. */
  fieldLines: string | undefined;
  /** The value of the field RateLimit, unless the app sets its own; undefined without --rate-limit. */
  rateLimit: string | undefined;
  /** Called when Node has written the head, which it has checked. */
  onStored: ((res: PipelineResponse) => void) | undefined;
  /** For the cache; undefined if the response is not recorded. */
  recording: Recorder | undefined;
  /** What the cache has done with the request; undefined without --cache. */
  cacheOutcome: CacheOutcome | undefined;
  /** Set by `reportSent`. */
  onSent: OnSent | undefined;
  /** For how long the event loop had been busy when it began (milliseconds); -1 without an observer. */
  busyAtStart: number;
  /** Set by `eventStreamOf`; null if it is none. */
  eventStream: EventStream | null | undefined;
  /** The stages have been told that the response is over. */
  isOver: boolean;
}

type NodeClass = typeof ServerResponse<IncomingMessage>;
export type ResponseClass = NodeClass & (new (...args: ConstructorParameters<NodeClass>) => PipelineResponse);

/** @returns the class of the pipeline's responses, which extends Node's class or that of the app */
export function responseClass(Base: NodeClass): ResponseClass {
  class Extended extends Base implements PipelineResponse {
    reqId = '';
    reqMethod = '';
    reqUrl = '';
    clientConnection = undefined;
    nextQueued = undefined;
    begunAt = 0;
    endedAt = 0;
    entry = noSlot;
    recordedBody = undefined;
    isQueued = false;
    isInApp = false;
    isAnsweredEarly = false;
    isOverdue = false;
    tid = undefined;
    pid = undefined;
    route = undefined;
    identity = undefined;
    onHead = undefined;
    onHeaders = undefined;
    headFilter = undefined;
    fieldLines = undefined;
    rateLimit = undefined;
    onStored = undefined;
    recording = undefined;
    cacheOutcome = undefined;
    onSent = undefined;
    busyAtStart = -1;
    eventStream = undefined;
    isOver = false;

    constructor(...args: ConstructorParameters<NodeClass>) {
      super(...args);
      // An own property, because Express replaces the prototype of each response.
      (this as unknown as { _storeHeader: StoreHeader })._storeHeader = storeHeader;
    }
  }
  return Extended;
}

const nodeStoreHeader = (ServerResponse.prototype as unknown as { _storeHeader: StoreHeader })._storeHeader;

/**
 * Replaces the method of Node that writes every head, and adds the id, and what is left of the rate limit, after the status
 * line. `request-id` has validated the id, so Node need not.
 */
function storeHeader(this: PipelineResponse, firstLine: string, headers: Headers | null | undefined): void {
  this.onHeaders?.(headers);
  this.onHead?.(this);
  const written = this.headFilter ? this.headFilter.filter(this, headers) : headers;
  const { reqId, rateLimit, fieldLines, identity } = this;
  let head = firstLine;
  if (identity) head += workerLine(identity.pid, this.tid ?? identity.tid);
  else if (reqId !== '' && !(headers && has(headers, idHeader))) head += `${idHeader}: ${reqId}\r\n`;
  if (rateLimit !== undefined && !(headers && has(headers, 'ratelimit'))) head += `ratelimit: ${rateLimit}\r\n`;
  if (fieldLines !== undefined) head += fieldLines;
  nodeStoreHeader.call(this, head, written);
  this.onStored?.(this);
}

/**
 * @param headers an object, a flat list of names and values, or a list of pairs, as Node accepts them
 * @param wanted in lower case
 */
function has(headers: Headers, wanted: string): boolean {
  if (!Array.isArray(headers)) {
    for (const name in headers) if (isHeader(name, wanted)) return true;
    return false;
  }
  if (Array.isArray(headers[0])) return headers.some(([name]) => isHeader(String(name), wanted));
  for (let i = 0; i < headers.length; i += 2) if (isHeader(String(headers[i]), wanted)) return true;
  return false;
}

export type OnHead = (res: PipelineResponse) => void;

/** As Node writes an informational response, also before the responses to earlier requests. */
export function writeRaw(res: ServerResponse, text: string): void {
  (res as unknown as { _writeRaw(text: string, encoding: string): void })._writeRaw(text, 'latin1');
}

/** Called with true just before the last write, and with false if the kernel did not accept all bytes. */
export type OnSent = (res: PipelineResponse, isSent: boolean) => void;

export function reportSent(response: PipelineResponse, onSent: OnSent): void {
  response.onSent = onSent;
  (response as { end: unknown }).end = end;
}

/** Reports before the write: if the worker is killed just after the write, the client has its response. */
function end(this: PipelineResponse, ...args: unknown[]): PipelineResponse {
  const { onSent, socket } = this;
  // The app may have changed the prototype.
  const inherited = Object.getPrototypeOf(this).end as (this: PipelineResponse, ...args: unknown[]) => PipelineResponse;
  // Without a socket the response waits for earlier ones (pipelining).
  if (!onSent || !socket || socket.destroyed || this.writableEnded) return inherited.apply(this, args);
  onSent(this, true);
  let isSent = false;
  try {
    const returned = inherited.apply(this, args);
    isSent = this.writableEnded && socket.writableLength === 0;
    return returned;
  } finally {
    if (!isSent) onSent(this, false);
  }
}
