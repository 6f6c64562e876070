// One request as the process has it that has the connection: sends it to a thread, and writes the response that comes from
// there.
import type { IncomingMessage } from 'node:http';
import type { SessionKey } from '../client/session.js';
import { now } from '../clock.js';
import { deferred } from '../deferred.js';
import { HttpError } from '../errors.js';
import { awaitsContinue } from '../pipeline/continue.js';
import { hasBody } from '../pipeline/failures.js';
import { noLongerAtOnce } from '../pipeline/late-answers.js';
import { type PipelineResponse, writeRaw } from '../pipeline/response.js';
import type { ExitCause } from '../reports/exit-cause.js';
import { readFailure } from './failure-text.js';
import type { Outbox } from './outbox.js';
import { endsOf, requestHeadText } from './request-head.js';
import { readResponseHead, readTrailers } from './response-head.js';
import {
  type Bytes,
  creditBytes,
  fromThread,
  maxCollectedBytes,
  moveBytes,
  requestFlag,
  responseFlag,
  toThread,
  windowBytes,
} from './wire.js';

/** Of the methods that change nothing, those that a server may run again without asking (RFC 9110, section 9.2.1). */
const safeMethods: readonly string[] = ['GET', 'HEAD'];

/** Where a request is handled. */
export interface Handling {
  readonly tid: number;
  readonly outbox: Outbox;
  /** Called as it is sent: the thread numbers requests as they come. */
  sent(request: HandedRequest): void;
  /** The thread is free for another request. */
  over(request: HandedRequest): void;
  hasBegun(request: HandedRequest): boolean;
  /** The response is over, but the thread still has the request. */
  lingers(request: HandedRequest): void;
}

export class HandedRequest {
  readonly id: number;
  readonly req: IncomingMessage;
  readonly res: PipelineResponse;
  readonly #onOverdue: (tid: number) => void;
  /** Settles when the response is complete or has been cut; rejects with an error of the app. */
  readonly #outcome = deferred<void>();
  readonly hasBody: boolean;
  /** Of --sticky; undefined if it has none. */
  readonly session: SessionKey | undefined;
  /** Its session was not at any thread before. */
  beginsSession = false;
  /** It will probably take long. */
  isSlow = false;
  #since: number;
  #handling: Handling | undefined;
  /** Takes it out of the line in which it waits. */
  #leave: (() => void) | undefined;
  /** It has been in a thread that has died. */
  #wasRetried = false;
  /** Something of the response has been sent. */
  #hasBegun = false;
  #hasEnded = false;
  /** Its thread has been told that its client has gone. */
  #isAborted = false;
  /** The thread that has it has been sent it. */
  #isSent = false;
  /** Bytes of the response that have been written and are not acknowledged yet. */
  #unacknowledged = 0;
  #awaitsDrain = false;
  /** Bytes of the body that the thread has not read. */
  #unread = 0;
  /** All of a small body. */
  #collected: Buffer | undefined;

  /** @param onOverdue told when it has been answered as it took too long, of the thread that still has it */
  constructor(
    id: number,
    req: IncomingMessage,
    res: PipelineResponse,
    session: SessionKey | undefined,
    onOverdue: (tid: number) => void,
  ) {
    this.id = id;
    this.session = session;
    this.#since = res.begunAt;
    this.req = req;
    this.res = res;
    this.#onOverdue = onOverdue;
    this.hasBody = hasBody(req) && !req.readableEnded;
    res.once('close', () => this.#closed());
    // A response that waits for those to earlier requests has no 'close'. One that is over leaves the request.
    if (!this.hasBody) return;
    req.once('close', () => {
      if (req.complete) return;
      if (this.#hasEnded) this.#abort('the client disconnected');
      else this.#closed();
    });
  }

  get outcome(): Promise<void> {
    return this.#outcome.promise;
  }

  /** Since when it waits (`clock.ts`). */
  get since(): number {
    return this.#since;
  }

  /** Its client has gone, or has been answered otherwise. */
  get isClosed(): boolean {
    const { req, res } = this;
    return res.destroyed || res.closed || (req.destroyed && !req.complete);
  }

  /** Nothing of it has been sent, and it may run twice. */
  get mayRunAgain(): boolean {
    const { method = '' } = this.req;
    return !this.#wasRetried && !this.#hasBegun && !this.hasBody && safeMethods.includes(method) && !this.isClosed;
  }

  /**
   * Calls `then` at once, or, if it has a small body that may not be waited for in a thread, when that is complete. Never
   * calls it if the client goes before.
   */
  whenReady(mayWaitInThread: () => boolean, then: () => void): void {
    const { req, res } = this;
    const length = Number(req.headers['content-length'] ?? Number.POSITIVE_INFINITY);
    if (!this.hasBody || length > maxCollectedBytes || awaitsContinue(res)) {
      then();
      return;
    }
    // When what has come together with the head has been read.
    process.nextTick(() => {
      if (req.complete || mayWaitInThread()) return then();
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.once('end', () => {
        this.#collected = Buffer.concat(chunks);
        this.#since = now();
        if (!this.isClosed) then();
      });
    });
  }

  /** It waits in a line. @param leave called once, when it is to wait there no more */
  wait(leave: () => void): void {
    this.#leave = leave;
  }

  begin(handling: Handling): void {
    this.leave();
    this.#handling = handling;
    this.res.tid = handling.tid;
    // What has come of the body together with the head is there when this event loop has read it.
    if (this.hasBody) process.nextTick(() => this.#beginWithBody());
    else this.#send(0, undefined);
  }

  /** Its thread has not begun it, and another one is to have it. */
  takenBack(): void {
    this.#isSent = false;
    this.#handling = undefined;
  }

  /** It waits in no line any more. */
  leave(): void {
    const leave = this.#leave;
    this.#leave = undefined;
    leave?.();
  }

  /** Its thread has died. */
  runAgain(): void {
    this.#wasRetried = true;
    this.#since = now();
    this.#isSent = false;
    this.#handling = undefined;
  }

  /** @param reason why its thread has ended */
  lost(reason: string, cause: ExitCause): void {
    this.#handling = undefined;
    const isHang = cause === 'hang';
    const words = isHang ? `its thread was blocked (${reason})` : `its thread has died: ${reason}`;
    this.#outcome.reject(new HttpError(isHang ? 504 : 502, words));
  }

  receive(kind: number, number: number, text: string, bytes: Bytes | undefined): void {
    try {
      this.#receive(kind, number, text, bytes);
    } catch (error) {
      this.#outcome.reject(error as Error); // a response that Node refuses here, and not in the thread
      this.#abort('its response was refused');
    }
  }

  #receive(kind: number, number: number, text: string, bytes: Bytes | undefined): void {
    const { req, res } = this;
    switch (kind) {
      case fromThread.whole:
        this.#writeHead(number, text);
        this.#end(number, '', bytes);
        break;
      case fromThread.end:
        this.#end(number, text, bytes);
        break;
      case fromThread.head:
        this.#writeHead(number, text);
        if (number & responseFlag.flushes) res.flushHeaders();
        break;
      case fromThread.body:
        this.#write(number, bytes ?? '');
        break;
      case fromThread.failed: {
        this.#over();
        const [error, headers] = readFailure(number, text);
        if (!res.headersSent) for (const [name, value] of Object.entries(headers)) res.setHeader(name, value as string);
        this.#outcome.reject(error);
        break;
      }
      case fromThread.cut:
        this.#over();
        req.socket.destroy();
        break;
      case fromThread.done:
        this.#over();
        break;
      case fromThread.informational:
        this.#inform(text);
        break;
      case fromThread.credit:
        this.#unread -= number;
        if (this.#unread < windowBytes && req.isPaused()) req.resume();
        break;
    }
  }

  #send(flags: number, bytes: Bytes | undefined): void {
    const { req, res } = this;
    const { httpVersion, rawHeaders } = req;
    const keepsAlive = res.shouldKeepAlive ? requestFlag.keepsAlive : 0;
    const expects = awaitsContinue(res) ? requestFlag.awaitsContinue : 0;
    const text = requestHeadText(res.reqId, res.reqMethod, req.url ?? '', httpVersion, endsOf(req.socket), rawHeaders);
    this.#isSent = true;
    this.#handling?.sent(this);
    this.#handling?.outbox.add(toThread.begin, this.id, flags | keepsAlive | expects, text, bytes);
  }

  #beginWithBody(): void {
    const { req } = this;
    const handling = this.#handling;
    if (!handling || this.#isSent) return;
    const chunk: Buffer | null = this.#collected ?? req.read();
    const isWhole = req.complete && req.readableLength === 0 && req.rawTrailers.length === 0;
    this.#unread += chunk?.length ?? 0;
    const bytes = chunk === null ? undefined : moveBytes(chunk);
    this.#send(requestFlag.hasBody | (isWhole ? requestFlag.isWhole : 0), bytes);
    if (isWhole) {
      req.resume(); // to its end
      return;
    }
    req.on('data', (chunk: Buffer) => {
      if (this.#handling !== handling) return; // nothing reads it any more
      this.#unread += chunk.length; // before it is moved
      handling.outbox.add(toThread.body, this.id, 0, '', moveBytes(chunk));
      if (this.#unread >= windowBytes) req.pause();
    });
    req.once('end', () => {
      if (this.#handling === handling) {
        handling.outbox.add(toThread.bodyEnd, this.id, 0, req.rawTrailers.join('\n'));
      }
    });
  }

  #writeHead(flags: number, text: string): void {
    const { res } = this;
    const { status, message, headers } = readResponseHead(text);
    this.#hasBegun = true;
    if (flags & responseFlag.isLate) noLongerAtOnce(res);
    if (flags & responseFlag.noDate) res.sendDate = false;
    if (flags & responseFlag.noConnection) res.removeHeader('connection');
    if (flags & responseFlag.noContentLength) res.removeHeader('content-length');
    if (flags & responseFlag.noTransferEncoding) res.removeHeader('transfer-encoding');
    if (flags & responseFlag.closes) res.shouldKeepAlive = false;
    res.writeHead(status, message, headers);
  }

  #write(flags: number, bytes: Bytes): void {
    const { res } = this;
    if (this.isClosed) return;
    if (typeof bytes === 'object') {
      const { length } = bytes;
      res.write(bytes, () => this.#giveBack(bytes, length));
      return;
    }
    this.#unacknowledged += bytes.length;
    const mayGoOn = res.write(bytes, encodingOf(flags));
    if (this.#awaitsDrain) return;
    if (mayGoOn) {
      this.#acknowledge(creditBytes);
      return;
    }
    this.#awaitsDrain = true;
    res.once('drain', () => {
      this.#awaitsDrain = false;
      this.#acknowledge(1);
    });
  }

  /** The kernel has them: their memory goes back, as otherwise much would wait for the garbage collection here. */
  #giveBack(bytes: Uint8Array<ArrayBuffer>, length: number): void {
    if (!this.#hasEnded) {
      this.#handling?.outbox.add(toThread.credit, this.id, length, '', new Uint8Array(bytes.buffer));
    }
  }

  /** @param from so many bytes */
  #acknowledge(from: number): void {
    const bytes = this.#unacknowledged;
    if (bytes < from || this.#hasEnded) return;
    this.#unacknowledged = 0;
    this.#handling?.outbox.add(toThread.credit, this.id, bytes);
  }

  #end(flags: number, trailers: string, bytes: Bytes | undefined): void {
    const { req, res } = this;
    const readsOn = (flags & responseFlag.readsOn) !== 0 && !req.closed;
    const handling = this.#handling;
    if (!readsOn) this.#over();
    if (trailers !== '') res.addTrailers(readTrailers(trailers));
    this.#hasEnded = true;
    if (bytes === undefined) res.end();
    else res.end(bytes, encodingOf(flags));
    if (readsOn) handling?.lingers(this);
    else if (!req.complete || this.hasBody) req.resume(); // discards the rest of its body
    this.#outcome.resolve();
  }

  /** As Node sends one, also before the responses to earlier requests. */
  #inform(text: string): void {
    const { res } = this;
    if (res.headersSent || this.isClosed) return;
    if (text.startsWith('HTTP/1.1 100')) {
      if (awaitsContinue(res)) res.writeContinue();
      return;
    }
    this.#hasBegun = true;
    writeRaw(res, text);
  }

  #closed(): void {
    this.leave();
    this.#outcome.resolve();
    const handling = this.#handling;
    if (!handling || this.#hasEnded || this.#isAborted) return;
    if (!this.#isSent) {
      this.#over(); // the thread has never heard of it
      return;
    }
    this.#isAborted = true;
    const hasBegun = handling.hasBegun(this);
    this.#abort('the client disconnected');
    handling.lingers(this);
    if (this.res.isOverdue && hasBegun) this.#onOverdue(handling.tid);
  }

  #abort(reason: string): void {
    const words = this.res.isOverdue ? 'the response was not complete in time (--request-deadline)' : reason;
    this.#handling?.outbox.add(toThread.abort, this.id, 0, words);
  }

  #over(): void {
    const handling = this.#handling;
    this.#handling = undefined;
    handling?.over(this);
  }
}

const encodingOf = (flags: number): 'latin1' | 'utf8' => (flags & responseFlag.isLatin1 ? 'latin1' : 'utf8');
