// The response object of every request: Node's own, which tells when its last bytes go to the system, and carries its
// request's id and puts it into the headers as they are written. To set it when the request begins would put all other
// headers on Node's slow path, which costs a tenth of a small request.
import { type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';

export const idHeader = 'x-request-id';

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];
type WriteHead = (this: NamedResponse, status: number, reason?: string | Headers, headers?: Headers) => NamedResponse;

export class NamedResponse extends ServerResponse {
  reqId: string;
  /** Of `tellEnd`. */
  declare onSent?: ((isSent: boolean) => void) | undefined;

  constructor(...args: ConstructorParameters<typeof ServerResponse>) {
    super(...args);
    this.reqId = '';
    // Its own and not its prototype's: Express gives each response another prototype.
    (this as { writeHead: unknown }).writeHead = writeHead;
  }
}

const nodeWriteHead = ServerResponse.prototype.writeHead as WriteHead;

const writeHead: WriteHead = function (status, reason, headers) {
  const given = typeof reason === 'string' ? headers : (headers ?? reason);
  if (typeof given !== 'object' || given === null || Array.isArray(given) || this.getHeaderNames().length > 0) {
    if (!this.headersSent && !this.hasHeader(idHeader)) this.setHeader(idHeader, this.reqId);
    return nodeWriteHead.call(this, status, reason, headers);
  }
  // A flat list of names and values is what Node writes fastest, and leaves the app's own object alone.
  const flat: OutgoingHttpHeader[] = [];
  let named = false;
  for (const name of Object.keys(given)) {
    flat.push(name, given[name] as OutgoingHttpHeader);
    if (isIdHeader(name)) named = true;
  }
  if (!named) flat.push(idHeader, this.reqId);
  return typeof reason === 'string'
    ? nodeWriteHead.call(this, status, reason, flat)
    : nodeWriteHead.call(this, status, flat);
};

/** @param onSent told just before the last bytes are handed to the system, and again when that did not take all of them */
export function tellEnd(response: NamedResponse, onSent: (isSent: boolean) => void): void {
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
  onSent(true);
  let isSent = false;
  try {
    const returned = inherited.apply(this, args);
    isSent = this.writableEnded && socket.writableLength === 0;
    return returned;
  } finally {
    if (!isSent) onSent(false);
  }
}

const x = 'x'.charCodeAt(0);
const lowerCase = 0x20;

/** Looks at the first letter first: this is asked of each header of each response. */
function isIdHeader(name: string): boolean {
  return (name.charCodeAt(0) | lowerCase) === x && name.toLowerCase() === idHeader;
}
