// Who the client of a request is, by the headers of proxies: `X-Forwarded-For`, or else `Forwarded` (RFC 7239). Only what a
// trusted peer says counts: each proxy adds the address that it sees at the end, and a client can have sent the rest.
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import type { Networks } from './networks.js';
import type { Peer } from './peer.js';

/** More proxies than this in a row are none. */
const maxProxies = 64;
/** Of an address with a port, a zone and brackets. */
const maxAddressLength = 128;
/** With a zone as RFC 4007 allows it; `isIP` accepts any text there, and the address goes into the log. */
const addressText = /^[\da-f.:]+(%[\w.-]+)?$/i;
/**
 * A forwarded-pair, which may be empty, up to its semicolon (RFC 7239, section 4): the name, and a quoted-string or other
 * text, as not all proxies quote an address with a port.
 */
const pair = /[ \t]*(?:([^\s=;,"\\]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"\\]+))[ \t]*)?(?:;|$)/y;

/**
 * The last address that is no trusted proxy's; where one cannot be read, the proxy that has sent it.
 * @param peer of the connection
 */
export function clientOf(headers: IncomingHttpHeaders, peer: Peer, trusted: Networks): Peer {
  const { 'x-forwarded-for': list, forwarded } = headers;
  let client = peer;
  if ((list === undefined && forwarded === undefined) || !trusted.has(peer)) return client;
  const named =
    typeof list === 'string'
      ? fromTheEnd(list, lastComma, addressIn)
      : fromTheEnd(forwarded ?? '', lastUnquotedComma, forwardedFor);
  for (const host of named) {
    if (host === undefined) return client;
    client = { host };
    if (!trusted.has(client)) return client;
  }
  return client;
}

/** @returns what `read` makes of the items of a comma-separated list, the last one first */
function* fromTheEnd(
  list: string,
  findComma: (list: string, end: number) => number,
  read: (item: string) => string | undefined,
): Generator<string | undefined> {
  let end = list.length;
  for (let count = 0; end >= 0 && count < maxProxies; count++) {
    const comma = findComma(list, end);
    yield end - comma > maxAddressLength * 4 ? undefined : read(list.slice(comma + 1, end).trim());
    end = comma;
  }
}

/** @returns where the last comma before `end` is; -1 if there is none */
function lastComma(list: string, end: number): number {
  return end === 0 ? -1 : list.lastIndexOf(',', end - 1);
}

/** As `lastComma`, of those outside quoted-strings. From the end, as a quote that a client has sent must not open one. */
function lastUnquotedComma(list: string, end: number): number {
  let isQuoted = false;
  for (let at = end - 1; at >= 0; at--) {
    if (list[at] === '"' && !isEscaped(list, at)) isQuoted = !isQuoted;
    else if (list[at] === ',' && !isQuoted) return at;
  }
  return -1;
}

/** In a quoted-pair (RFC 9110, section 5.6.4): the number of backslashes before it is odd. */
function isEscaped(text: string, at: number): boolean {
  let from = at;
  while (text[from - 1] === '\\') from--;
  return (at - from) % 2 === 1;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. */
function addressIn(text: string): string | undefined {
  if (text.length > maxAddressLength) return undefined;
  const [, inBrackets, beforePort] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  const address = inBrackets ?? beforePort ?? text;
  return addressText.test(address) && isIP(address) > 0 ? address : undefined;
}

/** The `for` of a forwarded-element, whose names are in either case, and which has each once. */
function forwardedFor(element: string): string | undefined {
  const nodes: string[] = [];
  for (let at = 0; at < element.length; at = pair.lastIndex) {
    pair.lastIndex = at;
    const found = pair.exec(element);
    if (!found) return undefined;
    const [, name = '', quoted, text = ''] = found;
    if (name.toLowerCase() === 'for') nodes.push(quoted?.replace(/\\(.)/g, '$1') ?? text);
  }
  return nodes.length === 1 ? addressIn(nodes[0] as string) : undefined;
}
