// The response of a task, a subclass of that of the pipeline and so of Node's or the app's: all checks are Node's. It passes
// its head and its body on before Node frames them, because the process of the connection does that.
import { type IncomingMessage, ServerResponse } from 'node:http';
import { type Headers, type PipelineResponse, responseClass } from '../pipeline/response.js';
import { responseHeadText } from './response-head.js';
import { responseFlag } from './wire.js';

type Callback = (error?: Error | null) => void;

/** Where the parts of a response go. */
export interface ResponseSink {
  head(text: string, flags: number): void;
  /** @returns whether more may be written before `drain` */
  body(chunk: string | Uint8Array, encoding: BufferEncoding | undefined, sent: Callback | undefined): boolean;
  /** @param text a whole informational response */
  informational(text: string, sent: Callback | undefined): void;
  /** Called before and after `end()` of Node. @param isEnded it has not thrown */
  ending(): void;
  ended(isEnded: boolean): void;
}

/** The private fields and methods of Node's class that are used or replaced. */
interface Private {
  _header: string | null;
  _headerSent: boolean;
  _removedConnection: boolean;
  _removedContLen: boolean;
  _removedTE: boolean;
  chunkedEncoding: boolean;
  _storeHeader: (this: TaskResponse, firstLine: string, headers: Headers | null | undefined) => void;
  _send: (this: TaskResponse, chunk: string | Uint8Array, encoding?: unknown, sent?: unknown) => boolean;
  _writeRaw: (this: TaskResponse, text: string | Uint8Array, encoding?: unknown, sent?: unknown) => boolean;
}

export type TaskResponse = PipelineResponse & Private & { sink: ResponseSink | undefined };
export type TaskResponseClass = new (req: IncomingMessage) => TaskResponse;

const { _storeHeader: nodeStoreHeader } = ServerResponse.prototype as unknown as Private;

/** Set while it waits for 'drain'. Node resets it when its socket has drained. */
const needDrain = Object.getOwnPropertySymbols(
  new ServerResponse({ method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 } as IncomingMessage),
).find(({ description }) => description === 'kNeedDrain');

/** @param Base Node's class, or that of the app */
export function taskResponseClass(Base: typeof ServerResponse<IncomingMessage>): TaskResponseClass {
  const Extended: new (req: IncomingMessage) => PipelineResponse = responseClass(Base);
  class Response extends Extended {
    sink: ResponseSink | undefined = undefined;

    constructor(req: IncomingMessage) {
      super(req);
      // Own properties, because Express replaces the prototype of each response.
      const own = this as unknown as Private & { end: unknown };
      own._storeHeader = storeHeader;
      own._send = send;
      own._writeRaw = writeRaw;
      own.end = end;
    }
  }
  return Response as unknown as TaskResponseClass;
}

/** May be written to again. */
export function drained(res: TaskResponse): void {
  const state = res as unknown as Record<symbol, boolean>;
  if (res.writableEnded || !needDrain || !state[needDrain]) return;
  state[needDrain] = false;
  res.emit('drain');
}

function storeHeader(this: TaskResponse, firstLine: string, headers: Headers | null | undefined): void {
  this.onHead?.(this);
  const { sendDate, shouldKeepAlive, _removedConnection, _removedContLen, _removedTE } = this;
  // The process adds these fields.
  this.sendDate = false;
  this._removedConnection = true;
  try {
    nodeStoreHeader.call(this, firstLine, headers);
  } finally {
    this.sendDate = sendDate;
    this._removedConnection = _removedConnection;
  }
  const flags =
    (sendDate ? 0 : responseFlag.noDate) |
    (_removedConnection ? responseFlag.noConnection : 0) |
    (_removedContLen ? responseFlag.noContentLength : 0) |
    (_removedTE ? responseFlag.noTransferEncoding : 0) |
    (shouldKeepAlive ? 0 : responseFlag.closes);
  const text = responseHeadText(this._header as string, this.chunkedEncoding);
  this.chunkedEncoding = false;
  this.sink?.head(text, flags);
}

function send(this: TaskResponse, chunk: string | Uint8Array, encoding?: unknown, sent?: unknown): boolean {
  this._headerSent = true;
  if (typeof encoding === 'function') return send.call(this, chunk, undefined, encoding);
  return this.sink?.body(chunk, encoding as BufferEncoding | undefined, sent as Callback | undefined) ?? true;
}

/** Node writes everything but informational responses with `_send`. */
function writeRaw(this: TaskResponse, text: string | Uint8Array, encoding?: unknown, sent?: unknown): boolean {
  this.sink?.informational(String(text), (typeof encoding === 'function' ? encoding : sent) as Callback | undefined);
  return true;
}

function end(this: TaskResponse, ...args: unknown[]): TaskResponse {
  // The app may have changed the prototype.
  const inherited = Object.getPrototypeOf(this).end as (this: TaskResponse, ...args: unknown[]) => TaskResponse;
  const { sink } = this;
  if (!sink || this.writableEnded) return inherited.apply(this, args);
  sink.ending();
  try {
    return inherited.apply(this, args);
  } finally {
    sink.ended(this.writableEnded);
  }
}
