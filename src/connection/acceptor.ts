// Accepts connections from listening sockets and from the migration channel, up to a limit. At the limit, and when told
// to, it suspends: the kernel's backlog then queues the clients and no client is turned away. The limit is that of
// connections, or of descriptors. Used by the supervisor, by worker processes and by worker threads.
import { within } from '../clock.js';
import type { MigrationChannel } from '../migration/channel.js';
import { type OnRefused, Receiver } from '../migration/receiver.js';
import { duplicate } from '../os/descriptor.js';
import { type DescriptorUse, lowestFreeDescriptor } from '../os/descriptor-limit.js';
import { RareReport } from '../rare-report.js';
import { AcceptFairness } from './accept-fairness.js';
import { DescriptorBudget } from './descriptor-budget.js';
import { IncomingConnection } from './incoming.js';
import { ListeningSocket } from './listening-socket.js';
import type { ProxyHeaders } from './proxy-headers.js';
import type { SessionReader } from './session-reader.js';

export interface AcceptorOptions {
  /** Descriptors of listening sockets; the acceptor owns them from now on. */
  readonly fds: readonly number[];
  readonly backlog: number;
  /** Connections served at the same time, at least 1; `acceptOn` changes it. */
  readonly limit: number;
  /** Those that count, where other acceptors have the same limit: a reload or a switch has two for a while. */
  readonly accepted?: { count: number };
  /** Descriptors that a connection takes in this process, also for a worker that starts for it; 1 if left out. */
  readonly descriptorsEach?: number;
  /** Where other threads of this process accept as well: the connections of all of them. */
  readonly inProcess?: AcceptedInProcess;
  /** Too few descriptors are left for another connection; called once a minute at most. */
  readonly onDescriptorsUsedUp?: (use: DescriptorUse & { readonly connections: number }) => void;
  /** Others accept from the same sockets: leave them their part of a burst. */
  readonly isShared: boolean;
  /** Accept all clients that wait at a time; see `ListeningSocket`. */
  readonly takesAll?: boolean;
  /** Leave the bytes of a new connection unread, because it is handed over to a worker. */
  readonly handsOver: boolean;
  /** What reads the header of a proxy from each connection; undefined where they come without. */
  readonly proxyHeaders?: ProxyHeaders | undefined;
  /** What finds the session of each connection; undefined where they have none. */
  readonly sessions?: SessionReader | undefined;
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

/** The connections of all threads of a process, which take descriptors at the same time. */
export interface AcceptedInProcess {
  /** Threads that accept, at least 1. */
  readonly acceptors: number;
  readonly count: number;
  /** Called when this thread has accepted a connection, and at its end. */
  readonly add: (change: 1 | -1) => void;
}

/** Connections that may be on their way to an acceptor that receives any number. */
const defaultCredits = 16;

/** How often a full acceptor looks for waiting clients (milliseconds). */
const lookEveryMs = 100;

/** How often one that has connections looks for descriptors that others have opened (milliseconds). */
const lookForDescriptorsEveryMs = 1000;

const reportDescriptorsEveryMs = 60_000;

/** The part of a drain's time in which it waits for headers: what has arrived needs the rest. */
const arrivalPart = 1 / 2;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #sockets: ListeningSocket[];
  /** Those of `acceptOn`, by the descriptors that are copied. */
  readonly #others = new Map<number, ListeningSocket>();
  readonly #fairness: AcceptFairness | undefined;
  readonly #receiver: Receiver | undefined;
  readonly #accepted: { count: number };
  /** Of accepted connections, while their headers or heads are awaited: whether they can be served. */
  readonly #arriving = new Set<Promise<boolean>>();
  readonly #budget: DescriptorBudget;
  #limit: number;
  readonly #usedUp: RareReport<DescriptorUse>;
  #isStarted = false;
  #isAccepting = false;
  /** For descriptors, or while it is full for waiting clients. */
  #looking: NodeJS.Timeout | undefined;

  constructor(options: AcceptorOptions) {
    const { fds, isShared, migrationChannel, onRefused, usesCredits = false } = options;
    this.#options = options;
    this.#limit = options.limit;
    this.#accepted = options.accepted ?? { count: 0 };
    this.#budget = new DescriptorBudget(options.descriptorsEach ?? 1, options.inProcess?.acceptors ?? 1);
    this.#usedUp = new RareReport(reportDescriptorsEveryMs, (_, use) =>
      options.onDescriptorsUsedUp?.({ ...use, connections: this.#accepted.count }),
    );
    this.#sockets = fds.map((fd) => this.#listenOn(fd));
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
    const { count } = this.#accepted;
    return count >= this.#limit || this.#budget.isUsedUp(count, this.#inProcess);
  }

  get #inProcess(): number {
    return (this.#options.inProcess ?? this.#accepted).count;
  }

  start(): void {
    this.#isStarted = true;
    this.#update();
  }

  /**
   * Accepts on copies of these listening sockets as well, and no longer on those of an earlier call that are not among them.
   * Where no descriptor is left for a copy, clients go on waiting. @param fds stay the caller's
   * @param limit from now on, at least 1
   */
  acceptOn(fds: readonly number[], limit: number): void {
    const isSame = fds.length === this.#others.size && fds.every((fd) => this.#others.has(fd));
    if (isSame && limit === this.#limit) return;
    this.#limit = limit;
    for (const [fd, socket] of this.#others) {
      if (fds.includes(fd)) continue;
      socket.close();
      this.#others.delete(fd);
    }
    for (const fd of fds) {
      if (this.#others.has(fd)) continue;
      try {
        this.#others.set(fd, this.#listenOn(duplicate(fd)));
      } catch {} // EMFILE
    }
    if (this.#isStarted) this.#update();
  }

  /** Stops accepting for good and gives the descriptors back to the system. Connections go on. */
  close(): void {
    this.#isStarted = false;
    clearInterval(this.#looking);
    for (const socket of this.#listening) socket.close();
    this.#others.clear();
    this.#receiver?.close();
    this.#options.proxyHeaders?.flush();
  }

  /**
   * In a drain, once it is closed: no head is awaited any more. Settles when its connections are being served, or when
   * `ms` milliseconds, which the drain has, are running out; undefined when nothing is awaited.
   */
  arrivals(ms: number): Promise<unknown> | undefined {
    this.#options.sessions?.close();
    if (this.#arriving.size === 0) return undefined;
    return within(ms * arrivalPart, Promise.all(this.#arriving)).then(() => this.#options.proxyHeaders?.flush());
  }

  get #listening(): readonly ListeningSocket[] {
    return [...this.#sockets, ...this.#others.values()];
  }

  #listenOn(fd: number): ListeningSocket {
    const { backlog, handsOver, proxyHeaders, takesAll = false } = this.#options;
    const isPaused = handsOver || proxyHeaders !== undefined;
    return new ListeningSocket(fd, backlog, { isPaused, takesAll }, (socket) =>
      this.#accept(new IncomingConnection(socket)),
    );
  }

  readonly #accept = (connection: IncomingConnection): void => {
    this.#accepted.count++;
    this.#options.inProcess?.add(1);
    this.#fairness?.accepted(this.#accepted.count);
    this.#budget.note(this.#inProcess, connection.descriptor);
    if (this.isFull) this.#update();
    else this.#looking ??= setInterval(() => this.#lookForDescriptors(), lookForDescriptorsEveryMs).unref();
    void this.#serve(connection).then(() => {
      this.#accepted.count--;
      this.#options.inProcess?.add(-1);
      if (this.#isStarted && !this.#isAccepting && !this.isFull) this.#update();
    });
  };

  async #serve(connection: IncomingConnection): Promise<void> {
    const { proxyHeaders, sessions, serve } = this.#options;
    if (proxyHeaders || sessions) {
      const arriving = this.#arrive(connection);
      this.#arriving.add(arriving);
      const canBeServed = await arriving;
      this.#arriving.delete(arriving);
      if (!canBeServed) return;
    }
    await serve(connection);
  }

  async #arrive(connection: IncomingConnection): Promise<boolean> {
    const { proxyHeaders, sessions } = this.#options;
    const { isMigrated, requests } = connection.facts;
    // Of one that has migrated the header is known, and from its first request on its session.
    if (proxyHeaders && !isMigrated && !(await proxyHeaders.take(connection))) return false;
    return !sessions || (isMigrated && requests > 0) || (await sessions.read(connection));
  }

  #update(): void {
    const accepts = this.#isStarted && !this.isFull;
    this.#isAccepting = accepts;
    for (const one of [...this.#listening, this.#receiver]) {
      if (accepts) one?.resume();
      else one?.suspend();
    }
    clearInterval(this.#looking);
    this.#looking = undefined;
    if (accepts || !this.#isStarted) return;
    this.#looking = setInterval(() => this.#lookForClients(), lookEveryMs);
    if (this.#accepted.count < this.#limit) this.#usedUp.add(this.#budget.use(this.#inProcess));
  }

  #lookForClients(): void {
    if (this.#accepted.count < this.#limit) this.#budget.count(this.#inProcess);
    if (!this.isFull)
      this.#update(); // a connection of another acceptor has ended, or descriptors have been closed
    else if (this.#listening.some(({ hasWaiting }) => hasWaiting)) {
      this.#options.sessions?.shed();
      this.#options.onCrowded();
    }
  }

  #lookForDescriptors(): void {
    this.#budget.note(this.#inProcess, lowestFreeDescriptor());
    if (this.isFull) this.#update();
    else if (this.#accepted.count === 0) {
      clearInterval(this.#looking);
      this.#looking = undefined;
    }
  }
}
