// One connection of a client: sends a request and reads its response. It never retries, and never reconnects.
import { connect, isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { InvalidResponse, ResponseReader, type ResponseSummary } from '../testbed/response-reader.js';
import type { Endpoint } from './messages.js';

/** `responseMs`: from the last byte of the request until its response was complete, or the request was lost. */
export type RequestOutcome =
  | { readonly response: ResponseSummary; readonly responseMs: number }
  /** The reason, such as `connection closed before a response`. */
  | { readonly lost: string; readonly responseMs: number };

/** Sends `text` at once, and then `slowText` in pieces over `slowMs` milliseconds. */
export interface OutgoingRequest {
  readonly text: string;
  readonly slowText?: string;
  readonly slowMs?: number;
}

/** A request without a response after this time is lost (milliseconds). */
const responseTimeoutMs = 30_000;
/** Between two pieces of `slowText`, at most (milliseconds). */
const maxPieceIntervalMs = 20;

export class ClientConnection {
  readonly #socket: Socket;
  /** Undefined while no request is in flight. `settle` takes the response or the reason of a loss. */
  #pending: { readonly reader: ResponseReader; settle(result: ResponseSummary | string): void } | undefined;
  /** Undefined while the connection can be used. */
  #closeReason: string | undefined;
  #isConnected = false;

  constructor({ host, port, isTls }: Endpoint) {
    this.#socket = isTls
      ? connectTls({ host, port, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 && { servername: host }) })
      : connect({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.once(isTls ? 'secureConnect' : 'connect', () => {
      this.#isConnected = true;
    });
    this.#socket.on('data', (piece) => this.#read((reader) => reader.push(piece)));
    this.#socket.on('end', () => this.#read((reader) => reader.end()));
    this.#socket.on('error', (error: NodeJS.ErrnoException) =>
      this.#abort(this.#isConnected ? describe(error, this.#pending?.reader.hasStarted) : cannotConnect(error)),
    );
    this.#socket.on('close', () => this.#abort('connection closed before a response'));
  }

  /** Also after it was closed. With TLS: when the server has proved who it is. */
  get hasConnected(): boolean {
    return this.#isConnected;
  }

  /** Why the client or the server closed the connection; undefined while it is open. */
  get closeReason(): string | undefined {
    return this.#closeReason;
  }

  /** The client's port; undefined while the connection is not open. */
  get port(): number | undefined {
    return this.#closeReason === undefined ? this.#socket.localPort : undefined;
  }

  /** Settles when the request is sent and its response is complete, or when the request is lost. */
  async send(request: OutgoingRequest): Promise<RequestOutcome> {
    if (this.#closeReason !== undefined) return { lost: this.#closeReason, responseMs: 0 };
    let settledAt: number | undefined;
    const settled = new Promise<ResponseSummary | string>((resolve) => {
      const settle = (result: ResponseSummary | string): void => {
        settledAt ??= performance.now();
        resolve(result);
      };
      this.#pending = { reader: new ResponseReader(), settle };
    });
    const timeout = setTimeout(
      () => this.#abort(`no response within ${responseTimeoutMs / 1000} s`),
      responseTimeoutMs,
    );
    // Send all of the request even after an early response: the server would take the next request for its body.
    await this.#write(request);
    const sentAt = performance.now();
    const result = await settled;
    clearTimeout(timeout);
    this.#pending = undefined;
    const responseMs = Math.max(0, (settledAt ?? sentAt) - sentAt);
    if (typeof result === 'string') return { lost: result, responseMs };
    if (result.closes) this.#abort('connection closed after a response with "connection: close"');
    return { response: result, responseMs };
  }

  close(): void {
    this.#closeReason ??= 'closed by the client';
    this.#socket.destroy();
  }

  async #write({ text, slowText = '', slowMs = 0 }: OutgoingRequest): Promise<void> {
    if (text !== '') this.#socket.write(text, 'latin1');
    const pieces = Math.min(slowText.length, Math.max(1, Math.ceil(slowMs / maxPieceIntervalMs)));
    for (let i = 0; i < pieces && this.#closeReason === undefined; i++) {
      await sleep(slowMs / pieces);
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * slowText.length) / pieces));
      if (!this.#socket.destroyed) this.#socket.write(slowText.slice(from, to), 'latin1');
    }
  }

  #read(read: (reader: ResponseReader) => ResponseSummary | undefined): void {
    try {
      if (!this.#pending) throw new InvalidResponse('connection closed between two requests');
      const response = read(this.#pending.reader);
      if (response) this.#pending.settle(response);
    } catch (error) {
      if (!(error instanceof InvalidResponse)) throw error;
      this.#abort(error.message);
    }
  }

  /** Closes the connection; a request in flight is lost. */
  #abort(reason: string): void {
    this.#closeReason ??= reason;
    this.#pending?.settle(reason);
    this.#socket.destroy();
  }
}

function cannotConnect({ code, message }: NodeJS.ErrnoException): string {
  return `cannot connect (${code ?? message})`;
}

function describe({ code = 'unknown error' }: NodeJS.ErrnoException, hasStarted = false): string {
  if (hasStarted) return `response truncated (${code})`;
  return code === 'ECONNRESET' || code === 'EPIPE'
    ? 'connection reset'
    : `connection closed before a response (${code})`;
}
