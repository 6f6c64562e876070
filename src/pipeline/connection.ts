// One adopted connection: which request it is at, and for how long its client has kept the server waiting.
// It decides nothing and closes nothing.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestInFlight } from '../events.js';
import { truncateUrl } from '../inflight/fingerprint.js';
import type { NamedResponse } from './response.js';

/** A client that moves fewer bytes than this between two looks at it has not moved. */
const progressBytes = 256;

const key = Symbol('mpserve.connection');

export class Connection {
  readonly socket: Socket;
  /** That have begun on it, here or where it was carried over from. */
  requests: number;
  /** The address of its client, for the access log; undefined as long as nothing has been logged. */
  remote: string | undefined;
  /** When it has been idle for too long, on the clock of `clock.ts`; `KeepAlive` sets it. */
  idleUntil = Number.POSITIVE_INFINITY;
  #request: IncomingMessage | undefined;
  #reqId = '';
  #response: NamedResponse | undefined;
  /** Answers that wait for that of an earlier request (pipelining). */
  #queued: NamedResponse[] = [];
  #begunAt = 0;
  #upgraded = false;
  #bytesTaken = 0;
  #moved = 0;
  #movedAt: number;

  constructor(socket: Socket, requests: number, now: number) {
    this.socket = socket;
    this.requests = requests;
    this.#movedAt = now;
    (socket as Keyed)[key] = this;
  }

  static of(socket: Socket): Connection | undefined {
    return (socket as Keyed)[key];
  }

  begin(request: IncomingMessage, response: NamedResponse): void {
    if (this.#response && !this.betweenRequests) {
      this.#queued = this.#queued.filter(({ closed }) => !closed);
      this.#queued.push(response);
    }
    this.requests++;
    this.#request = request;
    this.#reqId = response.reqId;
    this.#response = response;
    this.#begunAt = response.begunAt;
  }

  /**
   * Drops the references to a response that is over and to its request. Kept until the next request, they would survive
   * garbage collections, and V8 would enlarge its young generation sooner.
   */
  finish(response: NamedResponse): void {
    if (this.#response !== response) return;
    this.#response = undefined;
    this.#request = undefined;
  }

  /** Bytes that have been written to it since this was last asked. */
  takeBytesWritten(): number {
    const before = this.#bytesTaken;
    this.#bytesTaken = this.socket.bytesWritten;
    return this.#bytesTaken - before;
  }

  /** The connection has ended. Node tells the answer that had its turn, and not those that waited for theirs. */
  end(): void {
    for (const response of this.#queued) if (!response.closed) response.emit('close');
    this.#queued = [];
  }

  /** From now on it speaks another protocol, of which nothing is known here. */
  upgrade(request: IncomingMessage, reqId: string, now: number): void {
    this.#upgraded = true;
    this.#request = request;
    this.#reqId = reqId;
    this.#begunAt = now;
  }

  /** It may come to an end of a request, after which nothing is left to do. */
  get mayRest(): boolean {
    return !this.#upgraded;
  }

  /** No request is being answered: before the first, between two, or while headers arrive. */
  get betweenRequests(): boolean {
    if (this.#upgraded) return false;
    return this.#response === undefined || this.#response.writableFinished || this.#response.destroyed;
  }

  /** No request is being answered, none waits for it, and whatever was to be sent has been. */
  get canRest(): boolean {
    const { socket } = this;
    const isOpen = socket.readable && socket.writable && !socket.destroyed;
    const isEmpty = socket.readableLength === 0 && socket.writableLength === 0;
    return isOpen && isEmpty && this.betweenRequests && this.#queued.every(({ closed }) => closed);
  }

  /** The request that is being answered, or that made it another protocol; if any. */
  inFlight(now: number): RequestInFlight | undefined {
    const request = this.#request;
    if (!request || this.betweenRequests) return undefined;
    const { method = '', url = '' } = request;
    return { reqId: this.#reqId, method, url: truncateUrl(url), ageMs: Math.round(now - this.#begunAt) };
  }

  /** The answer that is being made now, if any. */
  get response(): NamedResponse | undefined {
    return this.betweenRequests ? undefined : this.#response;
  }

  /**
   * Milliseconds for which the client has kept us waiting (for a request, for more of a body, or by not reading
   * its answer), as far as the looks at it can tell; -1 while it is the app's turn.
   */
  idleFor(now: number): number {
    const moved = this.socket.bytesRead + this.socket.bytesWritten;
    if (moved - this.#moved >= progressBytes) {
      this.#moved = moved;
      this.#movedAt = now;
    }
    return this.#clientsTurn ? now - this.#movedAt : -1;
  }

  get #clientsTurn(): boolean {
    if (this.#upgraded) return false;
    if (this.betweenRequests || this.socket.writableLength > 0) return true;
    const request = this.#request;
    // A body that is on its way, unless the app has let it fill the buffer.
    return request !== undefined && !request.complete && request.readableLength < request.readableHighWaterMark;
  }
}

type Keyed = Socket & { [key]?: Connection };
