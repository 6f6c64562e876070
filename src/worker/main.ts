// The inside of a worker, the same for processes and threads: starts the service, then accepts connections or is given
// them, until it is told to drain.
import type { Activity } from '../activity.js';
import type { StopReason } from '../app/close-app.js';
import { msUntil, now, within } from '../clock.js';
import { Acceptor } from '../connection/acceptor.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, errorRecord, StartupError } from '../errors.js';
import { emptyDenylist } from '../inflight/denylist.js';
import type { MigrationChannel } from '../migration/channel.js';
import { defaultPolicy } from '../migration/policy.js';
import type { WorkerIdentity } from '../reports/report.js';
import { sampleIntervalMs } from '../scaling/scaler.js';
import type { FromWorker, Questions, Subject, ToWorker } from './messages.js';
import type { Service, Tell } from './service.js';
import type { ThreadGroup, ThreadSettings } from './settings.js';

/** Answered requests are reported this often while there are any (milliseconds). */
const reportEveryMs = 1000;
/** The time that the app has to close in a worker that has served its one connection (milliseconds). */
const closeAppMs = 5000;

/** A message that is the same for processes and threads. */
type Order = Exclude<ToWorker, { type: 'connection' }>;

export interface MainOptions {
  readonly settings: ThreadSettings;
  /** The threads that the worker hosts: they have their connections without this event loop. */
  readonly threads: ThreadGroup | undefined;
  readonly identity: WorkerIdentity;
  readonly activity: Activity;
  readonly say: (message: FromWorker, sent?: () => void) => void;
  readonly makeService: () => Promise<Service>;
  /** Can serve, and says so next. */
  readonly onReady?: () => void;
  /** Told of each connection that this worker accepts itself, and of its end. */
  readonly onActive?: (change: 1 | -1) => void;
  /** For a new file of the access log. @returns a failure */
  readonly reopen: (path: string) => { readonly failure?: string };
  /** Called when everything has ended. */
  readonly exit: () => void;
}

export class WorkerMain {
  readonly tell: Tell;
  readonly #options: MainOptions;
  #service: Service | undefined;
  /** The same, before it can serve. */
  #starting: Service | undefined;
  #denylist = emptyDenylist;
  #policy = defaultPolicy;
  #acceptor: Acceptor | undefined;
  #isHeld: boolean;
  /** What begins when it is held no longer. */
  readonly #held: (() => void)[] = [];
  #started: Promise<void> = Promise.resolve();
  #isDraining = false;
  #reported = 0;

  constructor(options: MainOptions) {
    const { identity, say, settings } = options;
    this.#options = options;
    this.#isHeld = settings.isHeld;
    this.tell = (told) => {
      const message = { ...identity, ...told };
      say('kind' in message ? { type: 'report', report: message } : { type: 'event', event: message });
    };
  }

  get service(): Service | undefined {
    return this.#service;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** @param listen descriptors of sockets on which this worker accepts; none where connections are handed to it */
  start(listen: readonly number[], migrationChannel: MigrationChannel | undefined): void {
    process.on('uncaughtExceptionMonitor', (error) => this.tell({ kind: 'app-crashed', err: errorRecord(error) }));
    this.#reportAnswered();
    if (this.#options.settings.measure) setInterval(() => this.#reportLoad(), sampleIntervalMs).unref();
    this.#started = this.#load(listen, migrationChannel);
  }

  handle(message: Order): void {
    this.#handlers[message.type](message as never);
  }

  readonly #handlers: { readonly [T in Order['type']]: (message: Extract<Order, { type: T }>) => unknown } = {
    accept: ({ listen, migrationChannel }) => this.#whenOpen(() => this.#accept(listen, migrationChannel)),
    drain: ({ ms, migrates }) => void this.#drain(ms, 'told', migrates),
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
    shed: () => this.#service?.shed(),
    ask: async (question) => {
      const answers: {
        readonly [S in Subject]: () => Questions[S]['answer'] | Promise<Questions[S]['answer']>;
      } = {
        idle: () => ({ ms: this.#service?.idleFor() ?? -1 }),
        reopen: () => ('path' in question ? this.#options.reopen(question.path) : {}),
        check: async () => {
          const failure = await this.#service?.check();
          return failure === undefined ? {} : { failure };
        },
      };
      this.#options.say({ type: 'answer', id: question.id, ...(await answers[question.about]()) });
    },
  };

  /**
   * Serves a connection that was handed over.
   * @param take whether it is still ours when the app has been loaded; otherwise the connection is left alone
   * @returns settles when it has ended. Without a service it is never taken
   */
  async serve(connection: IncomingConnection, take: () => boolean): Promise<void> {
    if (!this.#service) await this.#started;
    if (!this.#service || !take()) return;
    await this.#service.serve(connection);
  }

  /** The one connection that this worker is for has ended. */
  finish(): void {
    if (this.#options.settings.once) void this.#drain(closeAppMs, 'done', false);
  }

  async #load(listen: readonly number[], migrationChannel: MigrationChannel | undefined): Promise<void> {
    const { say, makeService, onReady } = this.#options;
    try {
      const service = await makeService();
      this.#starting = service;
      service.setDenylist(this.#denylist);
      service.setMigration(this.#policy);
      await service.start();
      this.#service = service;
    } catch (error) {
      const { message, stack = '' } = error as Error;
      const exitCode = error instanceof StartupError ? error.exitCode : ExitCode.boot;
      say({ type: 'failed', exitCode, message, stack }, () => process.exit(exitCode));
      return;
    }
    onReady?.();
    this.#whenOpen(() => {
      this.#service?.open?.();
      if (listen.length > 0) this.#accept(listen, migrationChannel);
    });
    say({ type: 'ready' });
  }

  #whenOpen(begin: () => void): void {
    if (this.#isHeld) this.#held.push(begin);
    else begin();
  }

  #accept(fds: readonly number[], migrationChannel: MigrationChannel | undefined): void {
    const { settings, threads, onActive } = this.#options;
    const { backlog, maxConnections: limit } = settings;
    // Each connection has a thread that starts for it: migrated ones come when a thread is ready.
    const usesCredits = threads?.isPerConnection ?? false;
    const service = this.#service;
    if (!service) return;
    const acceptor = new Acceptor({
      fds,
      backlog,
      limit,
      isShared: true,
      handsOver: threads !== undefined,
      serve: async (connection) => {
        onActive?.(1);
        await service.serve(connection);
        onActive?.(-1);
      },
      onRefused: (count, { pid, uid }) =>
        this.tell({ event: 'migration-refused', count, senderPid: pid, senderUid: uid }),
      onCrowded: () => service.shed(),
      migrationChannel,
      usesCredits,
    });
    this.#acceptor = acceptor;
    if (this.#isDraining) {
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

  async #drain(ms: number, reason: StopReason, migrates: boolean): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#acceptor?.close();
    const { say, exit } = this.#options;
    const deadline = now() + ms;
    // A connection that was handed over while the app still loads is served, too.
    await within(ms, this.#started);
    const service = this.#service;
    const drained = service?.drain({
      ms: msUntil(deadline),
      reason,
      migrates,
      onMigrating: () => say({ type: 'migrating' }),
    });
    await service?.acceptNoMore?.();
    say({ type: 'draining' });
    await drained;
    say({ type: 'answered', count: this.#unreported() }, exit);
  }

  #reportLoad(): void {
    const load = this.#service?.load();
    if (load !== undefined) this.#options.say({ type: 'load', load: this.#acceptor?.isFull ? 1 : load });
  }

  #reportAnswered(): void {
    const { activity, threads, say } = this.#options;
    const report = (): void => {
      const count = this.#unreported();
      if (count > 0) say({ type: 'answered', count });
    };
    let timer: NodeJS.Timeout | undefined;
    const start = (): void => {
      timer = setInterval(report, reportEveryMs).unref();
    };
    const stop = (): void => {
      clearInterval(timer);
      report();
    };
    if (threads) start();
    else activity.add({ start, stop });
  }

  #unreported(): number {
    const before = this.#reported;
    this.#reported = this.#service?.answered ?? 0;
    return this.#reported - before;
  }
}
