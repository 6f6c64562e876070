// The client at the other end of a connection. One without an address need not be on a Unix socket: it may have reset the
// connection.

/**
 * An IP address; `unix`, a client of a Unix socket, which is on this machine; or `unknown`, one that has gone before it was
 * asked for its address, though what it has sent may still be read.
 */
export type Peer = { readonly host: string } | 'unix' | 'unknown';

/** For the log, and for what counts clients. */
export function nameOf(peer: Peer): string {
  return typeof peer === 'object' ? peer.host : peer;
}
