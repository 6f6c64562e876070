// The state of one connection: its current request, and how long the server has waited for the client. It makes no
// decisions and closes nothing.
import type { Socket } from 'node:net';
import type { Peer } from '../client/peer.js';
import type { Client } from '../client/proxy-header.js';
import type { SessionKey } from '../client/session.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { truncateUrl } from '../inflight/fingerprint.js';
import type { RequestInFlight } from '../reports/report.js';
import { awaitsContinue } from './continue.js';
// biome-ignore lint/suspicious/noImportCycles: types only; a connection has responses, and a response its connection
import type { PipelineResponse } from './response.js';
import type { WebSocketConnection } from './web-socket.js';

/** A client that transfers fewer bytes between two checks makes no progress. */
const minProgressBytes = 256;

const key = Symbol('mpserve.connection');

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
  /** To the current request. */
  #response: PipelineResponse | undefined;
  /** Responses that wait for an earlier response (pipelining). */
  #queued: PipelineResponse[] = [];
  /** The request with which the connection has switched to another protocol. */
  #upgrade: BegunRequest | undefined;
  /** If that is WebSocket, and the server may have to close it. */
  webSocket: WebSocketConnection | undefined;
  readonly #incoming: IncomingConnection;
  #client: Peer | undefined;
  #bytesTaken = 0;
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

  static of(socket: Socket): Connection | undefined {
    return (socket as Keyed)[key];
  }

  begin(response: PipelineResponse): void {
    if (this.response) {
      this.#queued = this.#queued.filter(({ closed }) => !closed);
      this.#queued.push(response);
    }
    this.requests++;
    this.#response = response;
  }

  /**
   * Drops the reference to a finished response, and so to its request. If they stayed until the next request, they would
   * survive garbage collections, and V8 would enlarge its young generation sooner.
   */
  finish(response: PipelineResponse): void {
    if (this.#response === response) this.#response = undefined;
  }

  /** Bytes written since the last call. */
  takeBytesWritten(): number {
    const before = this.#bytesTaken;
    this.#bytesTaken = this.socket.bytesWritten;
    return this.#bytesTaken - before;
  }

  /** After the connection has closed: Node emits 'close' on the current response, but not on queued ones. */
  end(): void {
    for (const response of this.#queued) if (!response.closed) response.emit('close');
    this.#queued = [];
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
    if (this.#upgrade) return false;
    return this.#response === undefined || this.#response.writableFinished || this.#response.destroyed;
  }

  /** No request is in flight or queued, and no byte is waiting to be read or sent. */
  get canRest(): boolean {
    const { socket } = this;
    const isOpen = socket.readable && socket.writable && !socket.destroyed;
    const isEmpty = socket.readableLength === 0 && socket.writableLength === 0;
    return isOpen && isEmpty && this.betweenRequests && this.#queued.every(({ closed }) => closed);
  }

  /** The request in flight, or the one that upgraded the connection; undefined if there is none. */
  inFlight(now: number): RequestInFlight | undefined {
    const current = this.#upgrade ?? this.response;
    if (!current) return undefined;
    const { reqId, reqMethod: method, reqUrl, begunAt } = current;
    return { reqId, method, url: truncateUrl(reqUrl), ageMs: Math.round(now - begunAt) };
  }

  /** The response in progress; undefined if there is none. */
  get response(): PipelineResponse | undefined {
    return this.betweenRequests ? undefined : this.#response;
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

type Keyed = Socket & { [key]?: Connection };
