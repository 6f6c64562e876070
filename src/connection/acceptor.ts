// Accepts connections from listening sockets and from the migration channel, up to a limit. At the limit, and when told
// to, it suspends: the kernel's backlog then queues the clients and no client is turned away. Used by the supervisor, by
// worker processes and by worker threads.
import type { MigrationChannel } from '../migration/channel.js';
import { type OnRefused, Receiver } from '../migration/receiver.js';
import { AcceptFairness } from './accept-fairness.js';
import { IncomingConnection } from './incoming.js';
import { ListeningSocket } from './listening-socket.js';

export interface AcceptorOptions {
  /** Descriptors of listening sockets; the acceptor owns them from now on. */
  readonly fds: readonly number[];
  readonly backlog: number;
  /** Connections served at the same time, at least 1. */
  readonly limit: number;
  /** Those that count, where other acceptors have the same limit: a reload or a switch has two for a while. */
  readonly accepted?: { count: number };
  /** Others accept from the same sockets: leave them their part of a burst. */
  readonly isShared: boolean;
  /** Leave the bytes of a new connection unread, because it is handed over to a worker. */
  readonly handsOver: boolean;
  /** Serves a connection; settles when it has ended. Never rejects. */
  readonly serve: (connection: IncomingConnection) => Promise<void>;
  /** The limit is reached and a client waits in the backlog; called again until that changes. */
  readonly onCrowded: () => void;
  /** Where migrated connections arrive; undefined for nowhere. */
  readonly migrationChannel?: MigrationChannel | undefined;
  /** Receive only as many migrated connections as `credits` says, at first none; otherwise any number. */
  readonly usesCredits?: boolean;
  /** Called for messages on the migration channel that no server of ours sends. */
  readonly onRefused?: OnRefused;
}

/** Connections that may be on their way to an acceptor that receives any number. */
const defaultCredits = 16;

/** How often a full acceptor looks for waiting clients (milliseconds). */
const lookEveryMs = 100;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #sockets: ListeningSocket[];
  readonly #fairness: AcceptFairness | undefined;
  readonly #receiver: Receiver | undefined;
  readonly #accepted: { count: number };
  #isStarted = false;
  #looking: NodeJS.Timeout | undefined;

  constructor(options: AcceptorOptions) {
    const { fds, backlog, handsOver, isShared, migrationChannel, onRefused, usesCredits = false } = options;
    this.#options = options;
    this.#accepted = options.accepted ?? { count: 0 };
    this.#sockets = fds.map(
      (fd) => new ListeningSocket(fd, backlog, handsOver, (socket) => this.#accept(new IncomingConnection(socket))),
    );
    this.#fairness = isShared ? new AcceptFairness() : undefined;
    if (!migrationChannel) return;
    const credits = usesCredits ? 0 : defaultCredits;
    this.#receiver = new Receiver(migrationChannel, credits, this.#accept, onRefused);
  }

  /** How many migrated connections could be served well now. Only with `usesCredits`. */
  set credits(count: number) {
    if (this.#receiver) this.#receiver.credits = count;
  }

  /** No connection is accepted until another ends. */
  get isFull(): boolean {
    return this.#accepted.count >= this.#options.limit;
  }

  start(): void {
    this.#isStarted = true;
    this.#update();
  }

  /** Stops accepting for good and gives the descriptors back to the system. Connections go on. */
  close(): void {
    this.#isStarted = false;
    clearInterval(this.#looking);
    for (const socket of this.#sockets) socket.close();
    this.#receiver?.close();
  }

  readonly #accept = (connection: IncomingConnection): void => {
    this.#accepted.count++;
    this.#fairness?.accepted(this.#accepted.count);
    if (this.isFull) this.#update();
    void this.#options.serve(connection).then(() => {
      this.#accepted.count--;
      if (this.#accepted.count === this.#options.limit - 1) this.#update();
    });
  };

  #update(): void {
    const accepts = this.#isStarted && !this.isFull;
    for (const one of [...this.#sockets, this.#receiver]) {
      if (accepts) one?.resume();
      else one?.suspend();
    }
    clearInterval(this.#looking);
    if (accepts || !this.#isStarted) return;
    this.#looking = setInterval(() => {
      if (!this.isFull)
        this.#update(); // a connection of another acceptor has ended
      else if (this.#sockets.some(({ hasWaiting }) => hasWaiting)) this.#options.onCrowded();
    }, lookEveryMs);
  }
}
