// Reads the header of the PROXY protocol from new connections, before anything else is done with them. Only trusted peers may
// open a connection then: others could name any client.

import { Networks } from '../client/networks.js';
import { nameOf, type Peer } from '../client/peer.js';
import { type ProxyHeader, readProxyHeader } from '../client/proxy-header.js';
import type { Config } from '../config/config.js';
import { RareReport } from '../rare-report.js';
import { awaitFirstBytes, takeFirstBytes } from './first-bytes.js';
import type { IncomingConnection } from './incoming.js';

/** A proxy sends the header with its connection, or at once afterwards (milliseconds). */
const headerTimeoutMs = 5000;

const reportEveryMs = 60_000;

/** A connection that was closed. `peer` is an IP address, or `unix`. */
export interface RefusedProxy {
  readonly peer: string;
  /** A clause. */
  readonly reason: string;
}

export class ProxyHeaders {
  readonly #trusted: Networks;
  readonly #refused: RareReport<RefusedProxy>;

  /** @param onRefused is called once a minute at most, with how many there were since its last call, and the last one */
  constructor(trusted: Networks, onRefused: (count: number, last: RefusedProxy) => void) {
    this.#trusted = trusted;
    this.#refused = new RareReport(reportEveryMs, onRefused);
  }

  /** Takes the header from the connection, or closes it. @returns whether it can be served */
  async take(connection: IncomingConnection): Promise<boolean> {
    const { peer, descriptor: fd } = connection;
    if (fd === undefined) return false;
    if (peer === 'unknown') return leave(connection);
    if (!this.#trusted.has(peer)) return this.#refuse(connection, peer, 'it is not one of --trust-proxy');
    const header = await awaitFirstBytes(fd, headerTimeoutMs, recognise);
    if (header === 'malformed') return this.#refuse(connection, peer, 'it sent no valid PROXY header');
    if (header === 'late')
      return this.#refuse(connection, peer, `it sent no PROXY header within ${headerTimeoutMs / 1000} s`);
    if (header === 'closed' || !takeFirstBytes(fd, header.length)) return leave(connection);
    if (header.client) connection.introduce(header.client);
    return true;
  }

  /** Reports what has been refused and not reported. */
  flush(): void {
    this.#refused.flush();
  }

  #refuse(connection: IncomingConnection, peer: Peer, reason: string): false {
    connection.close();
    this.#refused.add({ peer: nameOf(peer), reason });
    return false;
  }
}

/** Its client has gone. */
function leave(connection: IncomingConnection): false {
  connection.close();
  return false;
}

/** Whose headers name the client. */
interface Proxies {
  readonly clients: Config['clients'];
  /** All connections are from workers of this server, over a Unix socket. */
  readonly isForwarded: boolean;
}

/** @returns undefined where connections come without a header */
export function proxyHeaders(
  { clients: { proxyProtocol, trustProxy }, isForwarded }: Proxies,
  onRefused: (count: number, last: RefusedProxy) => void,
): ProxyHeaders | undefined {
  if (isForwarded) return new ProxyHeaders(new Networks(['loopback']), onRefused);
  return proxyProtocol ? new ProxyHeaders(new Networks(trustProxy), onRefused) : undefined;
}

function recognise(bytes: Buffer): ProxyHeader | 'malformed' | undefined {
  const header = readProxyHeader(bytes);
  return header === 'partial' ? undefined : header;
}
