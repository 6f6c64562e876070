// A client's connection from the moment of accept until a pipeline serves it. It owns its descriptor: a code path that
// cannot place the connection calls `close`, one that has handed the descriptor over calls `release`.
import type { Socket } from 'node:net';
import type { Peer } from '../client/peer.js';
import type { Client } from '../client/proxy-header.js';
import type { SessionKey } from '../client/session.js';
import { closeDescriptor } from '../os/descriptor.js';
import { peerOf } from '../os/listening-socket.js';
import { descriptorOf, detach, isUnixSocket, socketFromFd } from '../os/node-socket.js';
import { isUnread } from './first-bytes.js';

/** What is known of a connection besides its descriptor. Plain data: it goes along when the connection changes hands. */
export interface ConnectionFacts {
  /** Requests answered on it so far, all of them elsewhere. */
  readonly requests: number;
  /** It comes from another worker or server, not from its client. */
  readonly isMigrated: boolean;
  /** The client that the proxy which has opened it has named (`--proxy-protocol`). */
  readonly client?: Client | undefined;
  /** To which it belongs (`--sticky`). */
  readonly session?: SessionKey | undefined;
}

const fresh: ConnectionFacts = { requests: 0, isMigrated: false };

export class IncomingConnection {
  #facts: ConnectionFacts;
  /** Its descriptor once it has been taken out of Node's hands; undefined when it is closed or belongs to others. */
  #held: Socket | number | undefined;

  /** @param held belongs to the connection from now on */
  constructor(held: Socket | number, facts = fresh) {
    this.#held = held;
    this.#facts = facts;
  }

  get facts(): ConnectionFacts {
    return this.#facts;
  }

  /** The connection's own descriptor; undefined once it is closed. */
  get descriptor(): number | undefined {
    return typeof this.#held === 'object' ? descriptorOf(this.#held) : this.#held;
  }

  /** Unknown once the connection is closed, unless a proxy has named the client. */
  get client(): Peer {
    return this.#facts.client ?? this.peer;
  }

  /** As `client`, but of a proxy the proxy's own. */
  get peer(): Peer {
    const held = this.#held;
    if (typeof held === 'object') {
      const host = held.remoteAddress;
      if (host !== undefined) return { host };
      return isUnixSocket(held) ? 'unix' : 'unknown';
    }
    const address = held === undefined ? undefined : peerOf(held);
    if (address === undefined) return 'unknown';
    return address.kind === 'unix' ? 'unix' : address;
  }

  /** It is open, and neither we nor a worker has read from it; false where that is not known. */
  get isUnread(): boolean {
    const { descriptor: fd } = this;
    return fd !== undefined && isUnread(fd);
  }

  /** To be served here: from now on Node reads from it. */
  get socket(): Socket {
    const socket = this.#asSocket(false);
    return socket.isPaused() ? socket.resume() : socket;
  }

  /** It is from a proxy, which has named its client. */
  introduce(client: Client): void {
    this.#facts = { ...this.#facts, client };
  }

  /** Its client is in this session. */
  belongTo(session: SessionKey): void {
    this.#facts = { ...this.#facts, session };
  }

  /** To be handed over to another process: nothing is read from it. */
  get unreadSocket(): Socket {
    return this.#asSocket(true);
  }

  /**
   * Takes the connection out of Node's hands, which must not have read from it.
   * @returns its descriptor, still its own; undefined when its client has gone. @throws SystemCallError (EMFILE); the
   * connection is closed then
   */
  detach(): number | undefined {
    const held = this.#held;
    if (typeof held !== 'object') return held;
    this.#held = undefined;
    this.#held = detach(held);
    return this.#held;
  }

  /** The descriptor, which was detached, belongs to another event loop from now on. */
  release(): void {
    this.#held = undefined;
  }

  /** Closes our descriptor. Where another process has a copy of it, its client notices nothing. */
  close(): void {
    if (typeof this.#held === 'object') this.#held.destroy();
    else if (this.#held !== undefined) closeDescriptor(this.#held);
    this.#held = undefined;
  }

  #asSocket(isPaused: boolean): Socket {
    if (typeof this.#held === 'number') this.#held = socketFromFd(this.#held, isPaused);
    if (!this.#held) throw new Error('the connection has been handed over');
    return this.#held;
  }
}
