// The state of one connection: its current request, and how long the server has waited for the client. It makes no
// decisions and closes nothing.
import type { Socket } from 'node:net';
import type { Peer } from '../client/peer.js';
import type { Client } from '../client/proxy-header.js';
import type { SessionKey } from '../client/session.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { truncateUrl } from '../inflight/fingerprint.js';
import type { CloseCause } from '../metrics/layout.js';
import type { RequestInFlight } from '../reports/report.js';
import { awaitsContinue } from './continue.js';
// biome-ignore lint/suspicious/noImportCycles: types only; a connection has responses, and a response its connection
import type { PipelineResponse } from './response.js';
import type { WebSocketConnection } from './web-socket.js';

/** A client that transfers fewer bytes between two checks makes no progress. */
const minProgressBytes = 256;

const key = Symbol('mpserve.connection');

/** The client has reset the connection, or cannot be reached any more. */
const clientErrors = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']);

type BegunRequest = Pick<PipelineResponse, 'reqId' | 'reqMethod' | 'reqUrl' | 'begunAt'>;

export class Connection {
  readonly socket: Socket;
  /** The client is this process itself, which asks whether the app is ready. */
  readonly isOwn: boolean;
  /** Requests that have begun on the connection, including those before it migrated here. */
  requests: number;
  /** When --keep-alive-timeout expires (`clock.ts`); `KeepAlive` sets it. */
  idleUntil = Number.POSITIVE_INFINITY;
  /** To which it belongs (--sticky): as its first request says, or a response on it has said since. */
  session: SessionKey | undefined;
  /** The oldest one that is not over. The others wait for it (pipelining): a list, from each to its `nextQueued`. */
  #oldest: PipelineResponse | undefined;
  #youngest: PipelineResponse | undefined;
  /** The request with which the connection has switched to another protocol. */
  #upgrade: BegunRequest | undefined;
  /** If that is WebSocket, and the server may have to close it. */
  webSocket: WebSocketConnection | undefined;
  readonly #incoming: IncomingConnection;
  #client: Peer | undefined;
  /** Why the server closes it. */
  #closesFor: CloseCause | undefined;
  /** When the metrics are to count its bytes again (`clock.ts`). */
  bytesDueAt = 0;
  #bytesTaken = 0;
  #bytesCounted = { received: 0, sent: 0 };
  #transferred = 0;
  #progressAt: number;

  constructor(incoming: IncomingConnection, now: number, isOwn: boolean) {
    this.isOwn = isOwn;
    this.#incoming = incoming;
    this.socket = incoming.socket;
    this.requests = incoming.facts.requests;
    this.session = incoming.facts.session;
    this.#progressAt = now;
    (this.socket as Keyed)[key] = this;
  }

  /** The client that a proxy has named, in the PROXY protocol. */
  get namedClient(): Client | undefined {
    return this.#incoming.facts.client;
  }

  /** A socket forgets it when it closes, so ask before. */
  get client(): Peer {
    this.#client ??= this.#incoming.client;
    return this.#client;
  }

  /** From now on the app sees the client that a proxy has named instead of the proxy. */
  showClient(): void {
    const { client } = this.#incoming.facts;
    if (!client) return;
    const { host: remoteAddress, port: remotePort } = client;
    const seen = { remoteAddress, remotePort, remoteFamily: remoteAddress.includes(':') ? 'IPv6' : 'IPv4' };
    for (const [name, value] of Object.entries(seen)) Object.defineProperty(this.socket, name, { value });
  }

  /** The server closes it, soon or now. @param cause only the first one counts */
  closesFor(cause: CloseCause): void {
    this.#closesFor ??= cause;
  }

  close(cause: CloseCause): void {
    this.#closesFor ??= cause;
    this.socket.destroy();
  }

  /** As Node's timer does: the http.Server closes it then, unless the app keeps it. */
  timeOut(): void {
    const before = this.#closesFor;
    this.#closesFor ??= 'idle';
    this.socket.emit('timeout');
    if (!this.socket.destroyed) this.#closesFor = before;
  }

  /** Once it has closed. */
  get closeCause(): CloseCause {
    const { errored, readableEnded } = this.socket;
    if (this.#closesFor) return this.#closesFor;
    const { code = '' } = (errored ?? {}) as NodeJS.ErrnoException;
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'timeout';
    if (code.startsWith('HPE_')) return 'invalid';
    return readableEnded || clientErrors.has(code) ? 'client' : 'other';
  }

  static of(socket: Socket): Connection | undefined {
    return (socket as Keyed)[key];
  }

  begin(response: PipelineResponse): void {
    if (this.response && this.#youngest) this.#youngest.nextQueued = response;
    else this.#oldest = response;
    this.#youngest = response;
    this.requests++;
  }

  /**
   * Drops the references to responses that are over, and so to their requests. If they stayed until the next request, they
   * would survive garbage collections, and V8 would enlarge its young generation sooner.
   */
  finish(): void {
    while (this.#oldest?.isOver) {
      const next: PipelineResponse | undefined = this.#oldest.nextQueued;
      this.#oldest.nextQueued = undefined;
      this.#oldest = next;
    }
    if (!this.#oldest) this.#youngest = undefined;
  }

  /** Bytes written since the last call. */
  takeBytesWritten(): number {
    const before = this.#bytesTaken;
    this.#bytesTaken = this.socket.bytesWritten;
    return this.#bytesTaken - before;
  }

  /** Bytes since the last call, for the metrics. */
  takeBytes(): { readonly received: number; readonly sent: number } {
    const before = this.#bytesCounted;
    const { bytesRead, bytesWritten } = this.socket;
    this.#bytesCounted = { received: bytesRead, sent: bytesWritten };
    return { received: bytesRead - before.received, sent: bytesWritten - before.sent };
  }

  /** After the connection has closed: Node emits 'close' on the current response, but not on queued ones. */
  end(): void {
    let response = this.#oldest;
    this.#oldest = undefined;
    this.#youngest = undefined;
    for (; response; response = response.nextQueued) if (!response.closed) response.emit('close');
  }

  /** The connection switches to another protocol. */
  upgrade(request: BegunRequest, webSocket: WebSocketConnection | undefined): void {
    this.#upgrade = request;
    this.webSocket = webSocket;
  }

  /** False once the connection is upgraded: it never is between two requests again. */
  get mayRest(): boolean {
    return this.#upgrade === undefined;
  }

  /** No request is in flight: before the first request, between two, or while headers arrive. */
  get betweenRequests(): boolean {
    return !this.#upgrade && this.response === undefined;
  }

  /** No request is in flight, and no byte is waiting to be read or sent. */
  get canRest(): boolean {
    const { socket } = this;
    const isOpen = socket.readable && socket.writable && !socket.destroyed;
    const isEmpty = socket.readableLength === 0 && socket.writableLength === 0;
    return isOpen && isEmpty && this.betweenRequests;
  }

  /** The oldest request in flight, or the one that upgraded the connection; undefined if there is none. */
  inFlight(now: number): RequestInFlight | undefined {
    const current = this.#upgrade ?? this.response;
    if (!current) return undefined;
    const { reqId, reqMethod: method, reqUrl, begunAt } = current;
    return { reqId, method, url: truncateUrl(reqUrl), ageMs: Math.round(now - begunAt) };
  }

  /** The response in progress, for which others may wait; undefined if there is none. */
  get response(): PipelineResponse | undefined {
    let response = this.#oldest;
    while (response && isSent(response)) response = response.nextQueued;
    return response;
  }

  /** The response to the last request; undefined if it is sent. */
  get lastResponse(): PipelineResponse | undefined {
    return this.#youngest && !isSent(this.#youngest) ? this.#youngest : undefined;
  }

  /**
   * Milliseconds that the server has waited for the client (for a request, for more of a body, or for the client to
   * read its response), measured at the calls of this method; -1 while the client waits for the server.
   */
  idleFor(now: number): number {
    const transferred = this.socket.bytesRead + this.socket.bytesWritten;
    if (transferred - this.#transferred >= minProgressBytes) {
      this.#transferred = transferred;
      this.#progressAt = now;
    }
    if (this.#waitsForClient) return now - this.#progressAt;
    this.#progressAt = now;
    return -1;
  }

  get #waitsForClient(): boolean {
    if (this.#upgrade) return false;
    const { response } = this;
    if (!response || this.socket.writableLength > 0) return true;
    if (response.isQueued || awaitsContinue(response)) return false;
    const { req } = response;
    // The body is incomplete, and the app has not stopped reading it.
    return !req.complete && req.readableLength < req.readableHighWaterMark;
  }
}

/** Or cut. */
function isSent({ writableFinished, destroyed }: PipelineResponse): boolean {
  return writableFinished || destroyed;
}

type Keyed = Socket & { [key]?: Connection };
