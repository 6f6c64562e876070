// The response object of every request: Node's own, which carries what the stages keep of its request, puts the
// request's id into its headers as they are written, and tells when its last bytes go to the system. To set the id when
// the request begins would put all other headers on Node's slow path (docs/decisions/0006-request-id-at-write-head.md).
import { type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { noSlot } from '../inflight/journal-writer.js';
import type { RecordedBody } from '../inflight/recorded-body.js';
import type { Connection } from './connection.js';

export const idHeader = 'x-request-id';

type Headers = OutgoingHttpHeaders | readonly OutgoingHttpHeader[] | readonly (readonly string[])[];
type StoreHeader = (this: NamedResponse, firstLine: string, headers: Headers | null | undefined) => void;

export class NamedResponse extends ServerResponse {
  reqId: string;
  /** What it is sent on; undefined where it has not been adopted. */
  clientConnection: Connection | undefined;
  /** When its request began, on the clock of `clock.ts` (milliseconds). */
  begunAt: number;
  /** Where its request is on record (`inflight/journal-writer`). */
  entry: number;
  /** What the record keeps of the request's body; undefined where it has none. */
  recordedBody: RecordedBody | undefined;
  /** Of `tellEnd`. */
  onSent: OnSent | undefined;
  /** Its stages have been told of its end. */
  isOver: boolean;

  constructor(req: IncomingMessage, ...options: unknown[]) {
    super(...([req, ...options] as ConstructorParameters<typeof ServerResponse>));
    this.reqId = '';
    this.clientConnection = undefined;
    this.begunAt = 0;
    this.entry = noSlot;
    this.recordedBody = undefined;
    this.onSent = undefined;
    this.isOver = false;
    // Its own and not its prototype's: Express gives each response another prototype.
    (this as unknown as { _storeHeader: StoreHeader })._storeHeader = storeHeader;
  }
}

const nodeStoreHeader = (ServerResponse.prototype as unknown as { _storeHeader: StoreHeader })._storeHeader;

/**
 * What Node writes the head with, however the app set its headers. The id follows the status line; it has been checked
 * when the request came (`request-id`), so that Node need not check it again.
 */
function storeHeader(this: NamedResponse, firstLine: string, headers: Headers | null | undefined): void {
  const head = headers && hasIdHeader(headers) ? firstLine : `${firstLine}${idHeader}: ${this.reqId}\r\n`;
  nodeStoreHeader.call(this, head, headers);
}

/** @param headers as Node takes them: an object, a flat list of names and values, or a list of pairs */
function hasIdHeader(headers: Headers): boolean {
  if (!Array.isArray(headers)) {
    for (const name in headers) if (isIdHeader(name)) return true;
    return false;
  }
  if (Array.isArray(headers[0])) return headers.some(([name]) => isIdHeader(String(name)));
  for (let i = 0; i < headers.length; i += 2) if (isIdHeader(String(headers[i]))) return true;
  return false;
}

/** Looks at the length first: this is asked of each header of each response. */
function isIdHeader(name: string): boolean {
  return name.length === idHeader.length && name.toLowerCase() === idHeader;
}

/** Told just before the last bytes are handed to the system, and again when that did not take all of them. */
export type OnSent = (res: NamedResponse, isSent: boolean) => void;

export function tellEnd(response: NamedResponse, onSent: OnSent): void {
  response.onSent = onSent;
  (response as { end: unknown }).end = end;
}

/** What a client has got before its worker was killed it has got, whether the worker came to say so or not. */
function end(this: NamedResponse, ...args: unknown[]): NamedResponse {
  const { onSent, socket } = this;
  // Whatever the app has made of the prototype.
  const inherited = Object.getPrototypeOf(this).end as (this: NamedResponse, ...args: unknown[]) => NamedResponse;
  // Without a socket it waits for the answers before it.
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
