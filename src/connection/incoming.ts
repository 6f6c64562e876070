// A client's connection from the moment of accept until a pipeline serves it. It owns its descriptor: a code path that
// cannot place the connection calls `close`, one that has handed the descriptor over calls `release`.
import type { Socket } from 'node:net';
import { closeDescriptor } from '../os/descriptor.js';
import { peerOf } from '../os/listening-socket.js';
import { descriptorOf, detach, socketFromFd } from '../os/node-socket.js';

/** What is known of a connection besides its descriptor. Plain data: it goes along when the connection changes hands. */
export interface ConnectionFacts {
  /** Requests answered on it so far, all of them elsewhere. */
  readonly requests: number;
  /** It comes from another worker or server, not from its client. */
  readonly isMigrated: boolean;
}

const fresh: ConnectionFacts = { requests: 0, isMigrated: false };

export class IncomingConnection implements ConnectionFacts {
  readonly requests: number;
  readonly isMigrated: boolean;
  #socket: Socket | undefined;
  /** Once the connection has been taken out of Node's hands. */
  #fd: number | undefined;

  private constructor(socket: Socket | undefined, fd: number | undefined, { requests, isMigrated }: ConnectionFacts) {
    this.#socket = socket;
    this.#fd = fd;
    this.requests = requests;
    this.isMigrated = isMigrated;
  }

  static of(socket: Socket, facts = fresh): IncomingConnection {
    return new IncomingConnection(socket, undefined, facts);
  }

  /** @param fd belongs to the connection from now on */
  static ofDescriptor(fd: number, facts = fresh): IncomingConnection {
    return new IncomingConnection(undefined, fd, facts);
  }

  /** To send along with it. */
  get facts(): ConnectionFacts {
    const { requests, isMigrated } = this;
    return { requests, isMigrated };
  }

  /** The connection's own descriptor; undefined once it is closed. */
  get descriptor(): number | undefined {
    return this.#fd ?? (this.#socket && descriptorOf(this.#socket));
  }

  /** The client's IP address; undefined for a client of a Unix socket, and when the connection is closed. */
  get client(): string | undefined {
    if (this.#socket) return this.#socket.remoteAddress;
    const peer = this.#fd === undefined ? undefined : peerOf(this.#fd);
    return peer?.kind === 'tcp' ? peer.host : undefined;
  }

  /** To be served here: from now on Node reads from it. */
  get socket(): Socket {
    return this.#asSocket(false);
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
    if (this.#socket) {
      const socket = this.#socket;
      this.#socket = undefined;
      this.#fd = detach(socket);
    }
    return this.#fd;
  }

  /** The descriptor, which was detached, belongs to another event loop from now on. */
  release(): void {
    this.#fd = undefined;
  }

  /** Closes our descriptor. Where another process has a copy of it, its client notices nothing. */
  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    if (this.#fd !== undefined) closeDescriptor(this.#fd);
    this.#fd = undefined;
  }

  #asSocket(isPaused: boolean): Socket {
    if (this.#fd !== undefined) {
      this.#socket = socketFromFd(this.#fd, isPaused);
      this.#fd = undefined;
    }
    if (!this.#socket) throw new Error('the connection has been handed over');
    return this.#socket;
  }
}
