// One request in a thread: makes the request and the response of the app from what the process sends, and sends back what
// becomes of them. Requests and responses end here as they do on a connection of Node.
import type { IncomingMessage } from 'node:http';
import { now } from '../clock.js';
import { type ErrorRecord, errorRecord, HttpError } from '../errors.js';
import { isOfBody } from '../pipeline/failures.js';
import type { Handler } from '../pipeline/stage.js';
import type { RequestInFlight } from '../reports/report.js';
import { isThenable } from '../thenable.js';
import type { Blocks } from './blocks.js';
import { failureText } from './failure-text.js';
import type { Outbox } from './outbox.js';
import { type RequestHead, readRequestHead } from './request-head.js';
import { ResponseSender } from './response-sender.js';
import type { TaskResponse, TaskResponseClass } from './task-response.js';
import { type SocketListener, TaskSocket } from './task-socket.js';
import { type Bytes, creditBytes, fromThread, requestFlag } from './wire.js';

export type RequestClass = new (socket: unknown) => IncomingMessage;

/** What all tasks of a thread have in common. */
export interface TaskHost {
  readonly outbox: Outbox;
  readonly blocks: Blocks;
  readonly Request: RequestClass;
  readonly Response: TaskResponseClass;
  /** The app, behind the stages of the thread. */
  readonly handle: Handler;
  /** For the in-flight journal. */
  readonly onHead: TaskResponse['onHead'];
  /** Give requests a `signal`, which Node does not have. */
  readonly addsSignal: boolean;
  /** The process has been told that nothing more comes of a task. */
  done(): void;
  /** All that was to happen has happened. */
  over(task: Task): void;
  /** An error of the app that no response can report. */
  failed(event: 'request-failed' | 'response-cut' | 'client-gone', head: RequestHead, err: ErrorRecord): void;
}

/** The private fields and methods of Node's request that are used or replaced. */
type TaskRequest = IncomingMessage & {
  _addHeaderLines(lines: readonly string[], count: number): void;
  _consumed: boolean;
  readonly _readableState: { readingMore: boolean };
  _dump(): void;
};

interface PrivateResponse {
  _closed: boolean;
  _expect_continue: boolean;
  destroyed: boolean;
  socket: unknown;
}

export class Task implements SocketListener {
  readonly id: number;
  readonly req: TaskRequest;
  readonly res: TaskResponse;
  readonly #host: TaskHost;
  readonly #head: RequestHead;
  readonly #socket: TaskSocket;
  readonly #sender: ResponseSender;
  /** Bytes of the body that have come, and those that are acknowledged. */
  #received = 0;
  #acknowledged = 0;
  #isAnswered = false;
  /** The process has been told that nothing more comes. */
  #isDone = false;
  #isClosed = false;
  #abort: AbortController | undefined;
  #abortReason = 'the client disconnected';

  constructor(host: TaskHost, id: number, flags: number, text: string) {
    const head = readRequestHead(text);
    this.id = id;
    this.#host = host;
    this.#head = head;
    this.#socket = new TaskSocket(head.ends, this);
    this.req = this.#request(host.Request);
    this.res = this.#response(host, flags);
    this.#sender = new ResponseSender(host.outbox, host.blocks, id, this.res, () => this.#answered());
    this.res.sink = this.#sender;
  }

  get inFlight(): RequestInFlight {
    const { reqId, method, url } = this.#head;
    return { reqId, method, url, ageMs: Math.round(now() - this.res.begunAt) };
  }

  get client(): string {
    return this.#head.ends.remoteAddress || 'unix';
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Has the app handle the request. @param bytes what there is of its body */
  run(flags: number, bytes: Bytes | undefined): void {
    try {
      const outcome = this.#host.handle(this.req, this.res, this.#head.reqId);
      if (isThenable(outcome)) outcome.then(undefined, (error: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
    this.#sender.isLate = true;
    if (bytes !== undefined) this.body(bytes);
    if (!(flags & requestFlag.hasBody) || flags & requestFlag.isWhole) this.bodyEnd('');
  }

  body(bytes: Bytes): void {
    this.#received += bytes.length;
    this.#socket.sawProgress();
    if (this.req.destroyed) return;
    this.req.push(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes.buffer));
  }

  /** @param trailers names and values, one a line */
  bodyEnd(trailers: string): void {
    const { req } = this;
    if (req.destroyed || req.complete) return;
    req.complete = true;
    if (trailers !== '') {
      const lines = trailers.split('\n');
      req._addHeaderLines(lines, lines.length);
    }
    if (this.#isAnswered) req.once('close', () => this.#done());
    req.push(null);
  }

  /** The client has gone, or has been answered in place of the app. */
  abort(reason: string): void {
    if (this.#isDone) return;
    this.#abortReason = reason;
    this.#done();
    this.#socket.destroy();
  }

  /** @param block the memory of the bytes */
  credit(bytes: number, block: ArrayBuffer | undefined): void {
    this.#socket.sawProgress();
    this.#sender.credit(bytes, block);
  }

  destroyed(): void {
    if (!this.#isDone) this.#done(fromThread.cut);
    process.nextTick(() => this.#disconnected());
  }

  timedOut(): void {
    const { req, res } = this;
    const socket = this.#socket as never;
    const isHandled = (!req.complete && req.emit('timeout', socket)) || res.emit('timeout', socket);
    if (!isHandled && this.#socket.listenerCount('timeout') === 0) this.#socket.destroy();
  }

  #request(Request: RequestClass): TaskRequest {
    const { httpVersion, method, url, rawHeaders } = this.#head;
    const req = new Request(this.#socket) as TaskRequest;
    const [major, minor] = httpVersion.split('.');
    req.httpVersionMajor = Number(major);
    req.httpVersionMinor = Number(minor);
    req.httpVersion = httpVersion;
    req.method = method;
    req.url = url;
    req._addHeaderLines(rawHeaders, rawHeaders.length);
    // Own properties, because Express replaces the prototype of each request.
    req._read = () => this.#readOn();
    if (this.#host.addsSignal) this.#addSignal(req);
    return req;
  }

  #response({ Response, onHead }: TaskHost, flags: number): TaskResponse {
    const { reqId, method, url } = this.#head;
    const res = new Response(this.req);
    res.reqId = reqId;
    res.reqMethod = method;
    res.reqUrl = url;
    res.begunAt = now();
    res.onHead = onHead;
    res.isInApp = true;
    res.shouldKeepAlive = (flags & requestFlag.keepsAlive) !== 0; // as Node does, by the request
    const own = res as unknown as PrivateResponse;
    own.socket = this.#socket;
    if (flags & requestFlag.awaitsContinue) own._expect_continue = true;
    return res;
  }

  /** In place of the method with which Node reads on from the connection. */
  #readOn(): void {
    const { req } = this;
    if (!req._consumed) {
      req._consumed = true;
      req._readableState.readingMore = false; // Node sets it at first, so that it reads nothing ahead
    }
    // Node asks for more when little will be left of what has come, before the app has read it.
    const bytes = this.#received - this.#acknowledged;
    if (bytes < creditBytes || this.#isDone) return;
    this.#acknowledged += bytes;
    this.#host.outbox.add(fromThread.credit, this.id, bytes);
  }

  /** The response is complete. */
  #answered(): void {
    const { req, res } = this;
    this.#isAnswered = true;
    const readsOn = !req.complete && req._consumed && !req.destroyed;
    res.emit('prefinish');
    process.nextTick(() => {
      this.#sender.callSent(); // 'finish'
      this.#closeResponse();
      if (!req._consumed) req._dump();
      if (!readsOn && !req.complete) this.bodyEnd('');
      if (!readsOn) this.#close();
    });
    // As the response has told the process.
    if (!readsOn) this.#setDone();
  }

  #setDone(): void {
    this.#isDone = true;
    this.#sender.isOver = true;
    this.#host.done();
  }

  /** An error of the handler. */
  #failed(error: unknown): void {
    if (this.#isDone || this.#isAnswered) {
      const cut = isOfBody(error, this.req, this.res) ? 'response-cut' : 'client-gone';
      this.#host.failed(this.#isAnswered ? 'request-failed' : cut, this.#head, errorRecord(error));
      return;
    }
    const headers = error instanceof HttpError ? this.res.getHeaders() : {};
    const [status, text] = failureText(error, headers);
    this.#host.outbox.add(fromThread.failed, this.id, status, text);
    this.#setDone();
    this.#socket.destroy();
  }

  /** Nothing more is sent of the task. @param kind what the process is told */
  #done(kind: number = fromThread.done): void {
    if (this.#isDone) return;
    this.#setDone();
    this.#host.outbox.add(kind, this.id);
    if (this.#isAnswered) this.#close();
  }

  /** As Node does when a connection has closed. */
  #disconnected(): void {
    const { req } = this;
    if (!req.destroyed && !(req.complete && req.readableEnded) && !this.#isAnswered) req.destroy(connectionReset());
    this.#sender.callSent();
    this.#closeResponse();
    this.#close();
  }

  #closeResponse(): void {
    const res = this.res as unknown as PrivateResponse & TaskResponse;
    if (res._closed) return;
    res.destroyed = true;
    res._closed = true;
    res.emit('close');
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#isAnswered) this.#abort?.abort(new Error(this.#abortReason));
    if (!this.#socket.destroyed && this.#socket.listenerCount('close') > 0) this.#socket.destroy();
    this.#host.over(this);
  }

  #addSignal(req: IncomingMessage): void {
    const get = (): AbortSignal => {
      this.#abort ??= new AbortController();
      if (this.#isClosed && !this.#isAnswered) this.#abort.abort(new Error(this.#abortReason));
      return this.#abort.signal;
    };
    Object.defineProperty(req, 'signal', { get, configurable: true });
  }
}

function connectionReset(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}
