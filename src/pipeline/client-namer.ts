// The client of a request, for the access log: the peer of its connection, or the client that trusted proxies name.
import type { IncomingMessage } from 'node:http';
import { clientOf } from '../client/forwarded.js';
import { Networks } from '../client/networks.js';
import { nameOf, type Peer } from '../client/peer.js';
import type { Config } from '../config/config.js';

/** @returns an IP address, `unix` or `unknown` */
export type ClientNamer = (req: IncomingMessage, peer: Peer) => string;

export function clientNamer({ trustProxy }: Config['clients']): ClientNamer {
  if (trustProxy.length === 0) return (_, peer) => nameOf(peer);
  const trusted = new Networks(trustProxy);
  return ({ headers }, peer) => nameOf(clientOf(headers, peer, trusted));
}
