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
 * The last address that is no trusted proxy's; where one cannot be read, the proxy that has sent it.
 * @param peer of the connection
 */
export function clientOf(headers: IncomingHttpHeaders, peer: Peer, trusted: Networks): Peer {
  const { 'x-forwarded-for': list, forwarded } = headers;
  let client = peer;
  if ((list === undefined && forwarded === undefined) || !trusted.has(peer)) return client;
  const named = typeof list === 'string' ? fromTheEnd(list, addressIn) : fromTheEnd(forwarded ?? '', forwardedFor);
  for (const host of named) {
    if (host === undefined) return client;
    client = { host };
    if (!trusted.has(client)) return client;
  }
  return client;
}

/** @returns what `read` makes of the items of a comma-separated list, the last one first */
function* fromTheEnd(list: string, read: (item: string) => string | undefined): Generator<string | undefined> {
  let end = list.length;
  for (let count = 0; end >= 0 && count < maxProxies; count++) {
    const comma = end === 0 ? -1 : list.lastIndexOf(',', end - 1);
    yield end - comma > maxAddressLength * 4 ? undefined : read(list.slice(comma + 1, end).trim());
    end = comma;
  }
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. */
function addressIn(text: string): string | undefined {
  if (text.length > maxAddressLength) return undefined;
  const [, inBrackets, beforePort] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  const address = inBrackets ?? beforePort ?? text;
  return addressText.test(address) && isIP(address) > 0 ? address : undefined;
}

/** The `for` of a forwarded-element (RFC 7239, section 4), whose names are in either case. */
function forwardedFor(element: string): string | undefined {
  const [, quoted, token] = /(?:^|;)\s*for=(?:"([^"\\]*)"|([^;"\s]+))\s*(?:;|$)/i.exec(element) ?? [];
  const node = quoted ?? token;
  return node === undefined ? undefined : addressIn(node);
}
