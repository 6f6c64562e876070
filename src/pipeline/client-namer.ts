// The client of a request, for the access log: the peer of its connection, or the client that trusted proxies name.
import type { IncomingMessage } from 'node:http';
import { clientOf } from '../client/forwarded.js';
import { Networks } from '../client/networks.js';
import type { Config } from '../config/config.js';

const unix = 'unix';

/** @param peer an IP address, or `unix`. @returns the client's, in the same form */
export type ClientNamer = (req: IncomingMessage, peer: string) => string;

export function clientNamer({ trustProxy }: Config['clients']): ClientNamer {
  if (trustProxy.length === 0) return (_, peer) => peer;
  const trusted = new Networks(trustProxy);
  return ({ headers }, peer) => clientOf(headers, peer === unix ? undefined : peer, trusted) ?? unix;
}
