// The inside of a worker, the same for processes and threads: starts the service, then accepts connections or is given
// them, until it is told to drain.
import { Activity } from '../activity.js';
import type { StopReason } from '../app/close-app.js';
import type { Placing } from '../balance/policy.js';
import { msUntil, now, within } from '../clock.js';
import { type AcceptedInProcess, Acceptor } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { proxyHeaders } from '../connection/proxy-headers.js';
import { SessionReader } from '../connection/session-reader.js';
import { ExitCode, StartupError } from '../errors.js';
import type { BlockedLoop } from '../hang/hang-report.js';
import { Heartbeat } from '../hang/heartbeat.js';
import { loopStack } from '../hang/loop-stack.js';
import { emptyDenylist } from '../inflight/denylist.js';
import type { JournalWriter } from '../inflight/journal-writer.js';
import { openLoopJournal } from '../inflight/loop-journal.js';
import type { MigrationChannel } from '../migration/channel.js';
import { defaultPolicy } from '../migration/policy.js';
import { closeDescriptor, reopen } from '../os/descriptor.js';
import { sampleIntervalMs } from '../scaling/scaler.js';
import type { SecondaryAnswer } from '../secondary/address.js';
import { SocketRequests } from '../secondary/requests.js';
import { AnswerReports } from './answer-reports.js';
import { AppRunner, type RunnerOptions } from './app-runner.js';
import { Crashes } from './crashes.js';
import type { DumpOrder, FromWorker, ToWorker } from './messages.js';
import type { Service, Tell } from './service.js';
import type { ThreadData, ThreadGroup, ThreadSettings } from './settings.js';

/** The time that the app has to close in a worker that has served its one connection (milliseconds). */
const closeAppMs = 5000;

/** Those of its event loop, its connection, and a file that it loads. */
const descriptorsOfThread = 7;

/** A message that is the same for processes and threads. */
type Order = Exclude<ToWorker, { type: 'connection' }>;

export interface MainOptions {
  readonly settings: ThreadSettings;
  /** 0 for a process. */
  readonly tid: number;
  /** The threads that the worker hosts: they have their connections without this event loop. */
  readonly threads?: ThreadGroup | undefined;
  /** Makes the service; undefined where it loads the app, and serves connections with it. */
  readonly makeService?: ((options: RunnerOptions) => Promise<Service>) | undefined;
  readonly journal: ThreadData['journal'];
  /** Maps the memory that all event loops of the server share, if an option needs it. @throws SystemCallError (ENOMEM) */
  readonly memory: () => ThreadData['memory'];
  /** As `memory`, that of the cache. */
  readonly cacheMemory: () => ThreadData['cacheMemory'];
  readonly slot: ThreadData['slot'];
  readonly say: (message: FromWorker, sent?: () => void) => void;
  /** Can serve, and says so next. @param writer of its journal */
  readonly onReady?: (writer: JournalWriter | undefined) => void;
  /** Where it is a thread: the connections that the threads of its process have accepted themselves. */
  readonly accepted?: AcceptedInProcess;
  /** Writes a beat where its host looks whether its event loop is blocked. @param dueBy when the next one is due */
  readonly beat?: ((dueBy: number) => void) | undefined;
}

export class WorkerMain implements BlockedLoop {
  readonly tell: Tell;
  /** For the sockets of the app's secondary servers. */
  readonly sockets: SocketRequests;
  readonly #options: MainOptions;
  #service: Service | undefined;
  /** The same, before it can serve. */
  #starting: Service | undefined;
  readonly #activity = new Activity();
  readonly #answers: AnswerReports;
  readonly #crashes = new Crashes((err) => this.tell({ kind: 'app-crashed', err }));
  #denylist = emptyDenylist;
  #policy = defaultPolicy;
  /** undefined before the host has sent another one than that of the settings. */
  #placing: Placing | undefined;
  #acceptor: Acceptor | undefined;
  #isHeld: boolean;
  /** What begins when it is held no longer. */
  readonly #held: (() => void)[] = [];
  #started: Promise<void> = Promise.resolve();
  #isDraining = false;
  /** What has been told to drain. */
  #draining: Service | undefined;
  /** Until when it may drain. */
  #drainBy = Number.POSITIVE_INFINITY;
  /** In a drain: other workers serve clients that connect again. */
  #othersServe = true;
  /** The app has closed its server. */
  #isClosed = false;

  constructor(options: MainOptions) {
    const { tid, say, settings } = options;
    this.#options = options;
    this.#isHeld = settings.isHeld;
    this.sockets = new SocketRequests(say);
    this.#answers = new AnswerReports(() => this.#service?.answered ?? 0, say);
    this.tell = (told) => {
      const message = { pid: process.pid, tid, ...told };
      say('kind' in message ? { type: 'report', report: message } : { type: 'event', event: message });
    };
  }

  /** It takes no connections any more. */
  get isLeaving(): boolean {
    return this.#isDraining || this.#isClosed;
  }

  /** @param listen descriptors of sockets on which this worker accepts; none where connections are handed to it */
  start(listen: readonly number[]): void {
    this.#crashes.watch();
    const { settings, threads } = this.#options;
    // The connections of threads do not count as activity of this event loop.
    if (threads) this.#answers.start();
    else this.#activity.add(this.#answers);
    if (settings.measure) setInterval(() => this.#reportLoad(), sampleIntervalMs).unref();
    this.#started = this.#load(listen);
  }

  handle(message: Order): void {
    this.#handlers[message.type](message as never);
  }

  readonly #handlers: { readonly [T in Order['type']]: (message: Extract<Order, { type: T }>) => unknown } = {
    accept: ({ listen, migrationChannel }) => this.#whenOpen(() => this.#accept(listen, migrationChannel)),
    drain: ({ ms, othersServe }) => void this.#drain(ms, 'told', othersServe),
    open: () => {
      this.#isHeld = false;
      for (const begin of this.#held.splice(0)) begin();
    },
    migration: ({ policy }) => {
      if (typeof policy.send === 'string') this.#policy = policy;
      (this.#service ?? this.#starting)?.setMigration(policy);
    },
    denylist: ({ entries }) => {
      this.#denylist = entries;
      (this.#service ?? this.#starting)?.setDenylist(entries);
    },
    placing: ({ placing }) => {
      this.#placing = placing;
      (this.#service ?? this.#starting)?.setPlacing?.(placing);
    },
    shed: () => this.#service?.shed(),
    socket: ({ id, answer }) => this.#takeSocket(id, answer),
    idle: ({ id }) => this.#options.say({ type: 'answer', id, ms: this.#service?.idleFor() ?? -1 }),
    reopen: ({ id, path }) => this.#options.say({ type: 'answer', id, ...this.#reopen(path) }),
    look: async ({ id, how }) =>
      this.#options.say({ type: 'answer', id, views: (await this.#service?.look(how)) ?? [] }),
    check: async ({ id }) => {
      const failure = await this.#service?.check();
      this.#options.say({ type: 'answer', id, ...(failure !== undefined && { failure }) });
    },
    stacks: async ({ id }) => {
      if (!this.#service?.stacks) return this.answer([], id);
      this.#options.say({ type: 'answer', id, loops: await this.#service.stacks() });
    },
    dump: async ({ id, order, fd }) => {
      const failure = fd === undefined ? undefined : await this.#dump(order, fd);
      this.#options.say({ type: 'answer', id, ...(failure !== undefined && { failure }) });
    },
  };

  report(stack: readonly string[], stillMs: number): void {
    this.tell({ kind: 'hung', stack, stillMs, requests: this.#service?.inFlight() ?? [] });
  }

  answer(stack: readonly string[], question: number): void {
    const requests = this.#service?.inFlight() ?? [];
    this.#options.say({ type: 'answer', id: question, loops: [loopStack(this.#options.tid, stack, requests)] });
  }

  /**
   * Serves a connection that was handed over, if there is a service.
   * @param take whether it is still ours when the app has been loaded; otherwise the connection is left alone
   */
  async serve(id: number, connection: IncomingConnection, take: () => boolean): Promise<void> {
    const { settings, say } = this.#options;
    if (!this.#service) await this.#started;
    if (this.#service && take()) await this.#service.serve(connection);
    say({ type: 'ended', id });
    if (settings.once) void this.#drain(closeAppMs, 'done', false);
  }

  async #load(listen: readonly number[]): Promise<void> {
    const { settings, tid, journal, memory, cacheMemory, slot, makeService, say, onReady } = this.#options;
    const { tell } = this;
    const loopJournal =
      journal && openLoopJournal(journal.region, (fingerprint) => tell({ kind: 'suspect-cleared', fingerprint }));
    try {
      const identity = { pid: process.pid, tid };
      const options: RunnerOptions = {
        ...settings,
        identity,
        tell,
        journal: loopJournal,
        memory: memory(),
        cacheMemory: cacheMemory(),
        slot,
        activity: this.#activity,
        onSession: (session) => say({ type: 'session', session }),
        sockets: this.sockets,
        onClosed: () => {
          if (this.#service) this.#leave();
          else void this.#started.then(() => this.#leave());
        },
      };
      const service: Service = (await makeService?.(options)) ?? new AppRunner(options);
      this.#starting = service;
      service.setDenylist(this.#denylist);
      service.setMigration(this.#policy);
      if (this.#placing) service.setPlacing?.(this.#placing);
      await service.start();
      this.#service = service;
    } catch (error) {
      const { message, stack = '' } = error as Error;
      const exitCode = error instanceof StartupError ? error.exitCode : ExitCode.boot;
      say({ type: 'failed', exitCode, message, stack }, () => process.exit(exitCode));
      return;
    }
    onReady?.(loopJournal?.writer);
    this.#startHeartbeat();
    this.#whenOpen(() => {
      this.#service?.open?.();
      if (listen.length > 0) this.#accept(listen, settings.migrationChannel);
    });
    say({ type: 'ready' });
  }

  /** While it is held, its secondary servers listen without accepting. */
  #takeSocket(id: number, answer: SecondaryAnswer): void {
    if (this.#isHeld && 'address' in answer) this.sockets.take(id, { address: answer.address });
    if (!this.#isHeld || !('address' in answer) || answer.fd !== undefined)
      this.#whenOpen(() => this.sockets.take(id, answer));
  }

  /** As on a plain server, clients are accepted no more when the app has closed it: the host has this worker drain. */
  #leave(): void {
    if (this.isLeaving || !this.#service) return;
    this.#isClosed = true;
    this.#acceptor?.close();
    this.#options.say({ type: 'closed' });
  }

  #whenOpen(begin: () => void): void {
    if (this.#isHeld) this.#held.push(begin);
    else begin();
  }

  #accept(fds: readonly number[], migrationChannel: MigrationChannel | undefined): void {
    const { settings, threads, accepted } = this.#options;
    const { backlog, maxConnections: limit, sessions } = settings;
    const { sticky } = sessions;
    // Each connection has a thread that starts for it: migrated ones come when a thread is ready.
    const usesCredits = threads?.isPerConnection ?? false;
    const handsOver = threads !== undefined && !threads.takesRequests;
    const service = this.#service;
    if (!service) return;
    const acceptor = new Acceptor({
      fds,
      backlog,
      limit,
      descriptorsEach: usesCredits ? descriptorsOfThread : 1 + (settings.forwards?.length ?? 0),
      ...(accepted && { inProcess: accepted }),
      onDescriptorsUsedUp: (use) => this.tell({ event: 'descriptors-used-up', ...use }),
      isShared: settings.sharesSockets,
      takesAll: threads ? !handsOver : settings.overload.maxInflight > 0,
      handsOver,
      serve: (connection) => service.serve(connection),
      proxyHeaders: proxyHeaders(settings, (count, refused) =>
        this.tell({ event: 'proxy-refused', count, ...refused }),
      ),
      sessions: sticky && !threads?.takesRequests ? new SessionReader(sticky) : undefined,
      onRefused: (count, { pid, uid }) =>
        this.tell({ event: 'migration-refused', count, senderPid: pid, senderUid: uid }),
      onCrowded: () => service.shed(),
      migrationChannel,
      usesCredits,
    });
    this.#acceptor = acceptor;
    if (this.isLeaving) {
      acceptor.close();
      return;
    }
    if (usesCredits) {
      service.onCredits?.((count) => {
        acceptor.credits = count;
      });
    }
    acceptor.start();
  }

  async #drain(ms: number, reason: StopReason, othersServe: boolean): Promise<void> {
    this.#othersServe &&= othersServe;
    this.#drainBy = Math.min(this.#drainBy, now() + ms);
    if (this.#isDraining) {
      this.#draining?.drainSooner(ms, this.#othersServe);
      return;
    }
    this.#isDraining = true;
    if (!this.#isClosed) this.#crashes.forget();
    this.#acceptor?.close();
    const { say } = this.#options;
    // A connection that was handed over while the app still loads is served, too.
    await within(ms, this.#started);
    const arrivals = this.#acceptor?.arrivals(ms);
    if (arrivals) {
      say({ type: 'draining' });
      await arrivals;
    }
    const service = this.#service;
    this.#draining = service;
    const drained = service?.drain({
      ms: msUntil(this.#drainBy),
      reason,
      othersServe: this.#othersServe,
      onMigrating: () => say({ type: 'migrating' }),
    });
    await service?.acceptNoMore?.();
    say({ type: 'draining' });
    await drained;
    this.#answers.finish(() => process.exit(0));
  }

  /** From now on the host sees whether this event loop is blocked, and is told in what. */
  #startHeartbeat(): void {
    const { settings, beat } = this.#options;
    const { hangTimeout } = settings.lifecycle;
    if (beat && hangTimeout > 0) this.#activity.add(new Heartbeat(hangTimeout, beat));
  }

  /** @param fd is closed here, or by what writes. @returns why it could not be written */
  async #dump(order: DumpOrder, fd: number): Promise<string | undefined> {
    if (this.#service?.dump) return this.#service.dump(order, fd);
    if (!this.#options.threads && order.tid === undefined) return (await import('./dump.js')).writeDump(order, fd);
    closeDescriptor(fd);
    return this.#options.threads ? 'it is still starting its threads' : 'it has no threads, so leave out the point';
  }

  /** For all threads of a host, too: they write to the same descriptor. */
  #reopen(path: string): { readonly failure?: string } {
    const { accessLog } = this.#options.settings;
    try {
      if (accessLog) reopen(accessLog.fd, path);
      return {};
    } catch (error) {
      return { failure: (error as Error).message };
    }
  }

  #reportLoad(): void {
    const load = this.#service?.load();
    if (load !== undefined) this.#options.say({ type: 'load', load: this.#acceptor?.isFull ? 1 : load });
  }
}
