// Sends the connections of an event loop over the migration channel, each at a moment when nothing of it is here: neither
// a byte of its next request nor one of its last response. Its client notices nothing.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Client } from '../client/proxy-header.js';
import type { SessionKey } from '../client/session.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { descriptorOf, idleSockets } from '../os/node-socket.js';
import { type MigrationChannel, sendConnection } from './channel.js';
import { creditRetryMs, migratedCount, offerCredits, takeCredit } from './credits.js';

/** Without a credit the sender asks again after twice the time, up to this many milliseconds. */
const maxRetryMs = 32;

/** A connection that is served here, as the sender needs to know it. */
export interface Migratable {
  readonly socket: Socket;
  /** Requests that have been answered on it. */
  readonly requests: number;
  /** The client that a proxy has named. */
  readonly namedClient: Client | undefined;
  /** To which it belongs (--sticky). */
  readonly session: SessionKey | undefined;
  /** It speaks HTTP, so it comes to rest between two requests. */
  readonly mayRest: boolean;
  /** It is at rest, as far as is known without asking the parser. */
  readonly canRest: boolean;
  close(cause: 'migrated'): void;
}

export class MigrationSender<C extends Migratable> {
  readonly #channel: MigrationChannel;
  readonly #server: Pick<Server, 'closeIdleConnections'>;
  readonly #connections: ReadonlySet<C>;
  readonly #isChosen: (connection: C) => boolean;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = creditRetryMs;
  /** While it is set, further looks are not needed. */
  #looking: NodeJS.Immediate | NodeJS.Timeout | undefined;
  #hasStopped = false;
  #hasCredit = false;
  #keepsCredit = false;

  /**
   * @param server whose parsers know which connections are between two requests
   * @param connections all those of `server`
   * @param isChosen which of them migrate
   */
  constructor(
    channel: MigrationChannel,
    server: Pick<Server, 'closeIdleConnections'>,
    connections: ReadonlySet<C>,
    isChosen: (connection: C) => boolean = () => true,
  ) {
    this.#channel = channel;
    this.#server = server;
    this.#connections = connections;
    this.#isChosen = isChosen;
  }

  /** It was stopped, or the channel has no receiver any more. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** Changes with each connection that any worker sends. */
  get migratedCount(): string | undefined {
    return migratedCount(this.#channel);
  }

  /** Sends nothing for this many milliseconds. */
  holdFor(ms: number): void {
    this.#looking = setTimeout(this.#lookNow, ms).unref();
  }

  /** Looks, at the end of this turn of the event loop, which connections can be sent. */
  look(): void {
    if (!this.#hasStopped) this.#looking ??= setImmediate(this.#lookNow);
  }

  /** With the end of this response a chosen connection may come to rest. */
  expectEnd(response: NodeJS.EventEmitter, connection: C | undefined): void {
    if (this.#hasStopped || !connection || !this.#isChosen(connection)) return;
    response.once('close', () => this.look());
  }

  /** From now on a credit is held until a connection comes to rest: a busy connection would otherwise never meet one. */
  keepCredit(): void {
    if (this.#keepsCredit || this.#hasStopped) return;
    this.#keepsCredit = true;
    this.#send();
  }

  stop(): void {
    this.#hasStopped = true;
    clearTimeout(this.#retry);
    this.#returnCredit();
  }

  readonly #lookNow = (): void => {
    this.#looking = undefined;
    this.#send();
  };

  #send(): void {
    clearTimeout(this.#retry);
    if (this.#hasStopped) return;
    const chosen = [...this.#connections].filter((one) => one.mayRest && this.#isChosen(one));
    const candidates = chosen.filter(({ canRest }) => canRest);
    const isWanted = candidates.length > 0 || (this.#keepsCredit && chosen.length > 0);
    if (!isWanted) this.#returnCredit();
    else if (!this.#takeCredit()) this.#tryLater();
    else if (candidates.length > 0) this.#sendSome(candidates);
  }

  /** As many as there are credits; one has been taken. */
  #sendSome(candidates: readonly C[]): void {
    const resting = idleSockets(this.#server);
    const ready = candidates.filter(({ socket }) => socket.bytesRead === 0 || resting.has(socket));
    for (const one of ready) {
      const { socket, requests, namedClient: client, session } = one;
      const fd = descriptorOf(socket) as number; // it is open
      const outcome = this.#takeCredit() ? sendConnection(this.#channel, fd, { requests, client, session }) : 'full';
      this.#hasCredit = false;
      if (outcome === 'closed') this.stop();
      if (outcome !== 'sent') break;
      one.close('migrated'); // closes our copy of the descriptor and sends nothing
    }
    if (!this.#keepsCredit) this.#returnCredit();
    if (ready.some(({ socket }) => !socket.destroyed)) this.#tryLater();
  }

  #takeCredit(): boolean {
    this.#hasCredit ||= takeCredit(this.#channel);
    if (this.#hasCredit) this.#retryMs = creditRetryMs;
    return this.#hasCredit;
  }

  #returnCredit(): void {
    if (this.#hasCredit) offerCredits(this.#channel, 1);
    this.#hasCredit = false;
  }

  #tryLater(): void {
    if (this.#hasStopped) return;
    this.#retry = setTimeout(() => {
      this.#retryMs = Math.min(maxRetryMs, 2 * this.#retryMs);
      this.#send();
    }, this.#retryMs);
  }
}

/**
 * Sends a connection of which nothing has been read, as soon as there is a credit and for as long as `isWanted`; closes
 * it in any case. @returns whether it has been sent
 */
export async function migrateUnserved(
  connection: IncomingConnection,
  channel: MigrationChannel | undefined,
  isWanted: () => boolean,
): Promise<boolean> {
  try {
    while (channel && isWanted()) {
      const { descriptor, facts } = connection;
      if (descriptor === undefined) return false;
      const outcome = takeCredit(channel) ? sendConnection(channel, descriptor, facts) : 'full';
      if (outcome !== 'full') return outcome === 'sent';
      await new Promise((later) => setTimeout(later, creditRetryMs));
    }
    return false;
  } finally {
    connection.close();
  }
}
