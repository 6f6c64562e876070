// A worker as its host sees it, process or thread. `drain` escalates to `kill` by itself, so the caller can
// wait for `exit` and needs no timer of its own.
import type { Placing } from '../balance/policy.js';
import type { SessionKey } from '../client/session.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { deferred } from '../deferred.js';
import { StartupError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import type { LoopStack } from '../hang/loop-stack.js';
import type { DenylistEntries } from '../inflight/denylist.js';
import { defaultPolicy, type MigrationPolicy } from '../migration/policy.js';
import type { SystemCallError } from '../os/libc.js';
import type { EndReason, ExitCause } from '../reports/exit-cause.js';
import type { WorkerIdentity, WorkerReport } from '../reports/report.js';
import { ReportedLoad } from '../scaling/reported-load.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import type { SecondaryAddress, SecondaryAnswer, SecondaryRole } from '../secondary/address.js';
import type { ThreadPort } from '../tasks/wire.js';
import { Diagnostics } from './diagnostics.js';
import { ExitDeadline } from './exit-deadline.js';
import { type Given, HandOver } from './hand-over.js';
import type { DumpOrder, FromWorker, ToWorker } from './messages.js';
import { Questions } from './questions.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';
import type { ListeningSockets } from './settings.js';
import { StartUp } from './start-up.js';

export type Stage = 'starting' | 'ready' | 'draining' | 'gone';

/** How a worker has ended. */
export interface Exit extends Omit<UnitExit, 'requests'> {
  /** Milliseconds since it was ready; 0 if it never was. */
  readonly livedMs: number;
  /** It had been told to. */
  readonly isWanted: boolean;
  /** Open connections that it had, those that it had accepted itself included where that is known. */
  readonly connections: number;
}

/** What a worker tells its host. */
export interface WorkerListener {
  /** A report, or an event for the log. */
  tell(told: (WorkerReport | WorkerEvent) & WorkerIdentity): void;
  ready?(worker: Worker): void;
  /** The worker did not exit in time and is killed. */
  killed(worker: Worker, reason: string): void;
  /** Its connections still migrate, beyond its time to drain. */
  migrating?(): void;
  ended?(worker: Worker, cause: ExitCause): void;
  /** A secondary server of the app listens in it, which `answerSocket` answers. */
  listen(worker: Worker, id: number, address: SecondaryAddress): void;
  unlisten(worker: Worker, id: number, isClosed: boolean): void;
}

export interface WorkerOptions extends StartOptions {
  readonly unit: Unit;
  readonly listener: WorkerListener;
  /** Milliseconds that it may take until it is ready. */
  readonly bootMs: number;
  /** It reports its load. */
  readonly isMeasured: boolean;
  /** The host's descriptors of the listening sockets on which it accepts, from the time that it is ready and open. */
  readonly accepts: ListeningSockets;
  /** Its part of `--max-connections`. */
  readonly maxConnections: number;
  /** What the route matches whose requests it has; undefined where there are none, or it has the connections. */
  readonly route?: string | undefined;
}

/** A worker that has not reopened its access log by then is busy (milliseconds). */
const reopenMs = 5000;

export class Worker {
  readonly id: number;
  readonly generation: number;
  readonly pid: number;
  /** 0 for a process. */
  readonly tid: number;
  /** Settles when it can serve; rejects with a `StartupError`, also when it ends before. */
  readonly ready: Promise<void>;
  /** Settles when it accepts no connection any more, as it drains or has ended. */
  readonly acceptsNoMore: Promise<void>;
  readonly exit: Promise<Exit>;
  /** Settles when the app has closed its server, after it was ready. */
  readonly closed: Promise<void>;
  /** Settles when a secondary server of the app listens in it. */
  readonly hasSecondary: Promise<void>;
  readonly secondary: SecondaryRole;
  readonly accepts: ListeningSockets;
  /** Those that it accepts itself, at a time. */
  readonly maxConnections: number;
  readonly route: string | undefined;
  /** Called with each session that it begins (--sticky). */
  onSession: (session: SessionKey) => void = () => {};
  readonly #unit: Unit;
  readonly #bootMs: number;
  readonly #startUp: StartUp;
  readonly #handOver: HandOver;
  readonly #questions: Questions;
  readonly #diagnostics: Diagnostics;
  readonly #deadline: ExitDeadline;
  readonly #load = new ReportedLoad();
  #isHeld: boolean;
  #stage: Stage = 'starting';
  #answered = 0;
  #policy = defaultPolicy;
  /** Why it has been told to end. */
  #endReason: EndReason | undefined;

  constructor({
    id,
    generation,
    isHeld,
    secondary,
    accepts,
    maxConnections,
    unit,
    listener,
    bootMs,
    isMeasured,
    route,
  }: WorkerOptions) {
    this.id = id;
    this.generation = generation;
    this.#isHeld = isHeld;
    this.secondary = secondary;
    this.accepts = accepts;
    this.maxConnections = maxConnections;
    this.route = route;
    this.#bootMs = bootMs;
    this.pid = unit.pid;
    this.tid = unit.tid;
    this.#unit = unit;
    const acceptsNoMore = deferred<void>();
    const hasSecondary = deferred<void>();
    const closed = deferred<void>();
    this.closed = closed.promise;
    this.hasSecondary = hasSecondary.promise;
    this.acceptsNoMore = acceptsNoMore.promise;
    this.#startUp = new StartUp(bootMs, () => unit.kill()); // not `this.kill()`: its end was not asked for
    this.ready = this.#startUp.ready;
    this.#handOver = new HandOver(unit);
    this.#questions = new Questions(unit);
    this.#diagnostics = new Diagnostics(unit, this.#questions);
    this.#deadline = new ExitDeadline(unit, (reason) => {
      listener.killed(this, reason);
      this.kill();
    });
    const handlers: { readonly [T in FromWorker['type']]: (message: Extract<FromWorker, { type: T }>) => void } = {
      ready: () => {
        if (!this.#startUp.succeeded()) return;
        unit.watch();
        if (isMeasured) this.#load.start();
        if (this.#stage === 'starting') this.#stage = 'ready';
        listener.ready?.(this);
      },
      failed: ({ exitCode, message, stack }) => {
        this.#startUp.failed(Object.assign(new StartupError(exitCode, message), { stack }));
        this.#deadline.exitsByItself();
      },
      taken: ({ id }) => this.#handOver.taken(id),
      refused: ({ id }) => this.#handOver.refused(id),
      ended: ({ id }) => this.#handOver.ended(id),
      answered: ({ count }) => {
        this.#answered += count;
      },
      session: ({ session }) => this.onSession(session),
      closed: () => {
        if (this.#stage === 'ready') closed.resolve();
      },
      draining: () => acceptsNoMore.resolve(),
      migrating: () => {
        if (this.#deadline.postpone()) listener.migrating?.();
      },
      chdir: () => {}, // its unit has done it
      load: ({ load }) => {
        if (isMeasured) this.#load.report(load);
      },
      answer: (answer) => this.#questions.answered(answer),
      listen: ({ id, address }) => {
        hasSecondary.resolve();
        listener.listen(this, id, address);
      },
      unlisten: ({ id, isClosed }) => listener.unlisten(this, id, isClosed),
      report: ({ report }) => listener.tell(report),
      event: ({ event }) => listener.tell(event),
    };
    unit.listen((message) => {
      // A process that it has started may have its channel, and what the host has of it is closed.
      if (this.#stage !== 'gone') handlers[message.type](message as never);
    });
    this.exit = unit.exited.then(({ code, signal, reason, cause, requests }) => {
      const isWanted = this.#stage === 'draining';
      listener.ended?.(this, isWanted ? (this.#endReason ?? 'stop') : this.#causeOf({ code, signal, cause }));
      this.#stage = 'gone';
      this.#questions.end();
      this.#deadline.clear();
      this.#startUp.workerEnded(reason, signal);
      acceptsNoMore.resolve();
      const { pid, tid } = this;
      for (const request of requests) listener.tell({ kind: 'request-ended', pid, tid, ...request, isWanted });
      const connections = unit.accepted + this.#handOver.workerEnded(isWanted);
      return { code, signal, reason, livedMs: this.readyMs ?? 0, isWanted, connections };
    });
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** It gets no connections before `open` is called. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Connections that were handed to it and have not ended. */
  get active(): number {
    return this.#handOver.active;
  }

  /** Connections that were handed to it so far. */
  get placed(): number {
    return this.#handOver.placed;
  }

  /** It does not take the connections that are handed to it: its event loop is blocked, or it has no descriptor left. */
  get isUnresponsive(): boolean {
    return this.#handOver.isUnresponsive;
  }

  get isBusy(): boolean {
    return this.#handOver.isBusy;
  }

  get lagMs(): number {
    return this.#handOver.lagMs;
  }

  get utilization(): number {
    return this.#handOver.utilization;
  }

  /** From 0 to 1; undefined while it is not measured. */
  get load(): number | undefined {
    return this.#load.value;
  }

  /** Where it takes requests from, once it is ready; undefined where it serves connections. */
  get tasks(): ThreadPort | undefined {
    return this.#unit.tasks;
  }

  get memory(): number {
    return this.#unit.memory;
  }

  get wantedCpuMs(): number | undefined {
    return this.#unit.wantedCpuMs;
  }

  /** Requests answered. */
  get answered(): number {
    return this.#answered;
  }

  /** Milliseconds since it was ready; undefined if it never was. */
  get readyMs(): number | undefined {
    return this.#startUp.readyMs;
  }

  /**
   * Hands a connection over. It stays open here until the worker has read from it; a refused one is the caller's again.
   * @throws SystemCallError (EMFILE); the connection is closed then
   */
  give(connection: IncomingConnection): Promise<Given> {
    if (this.#stage === 'draining' || this.#stage === 'gone') return Promise.resolve('refused');
    return this.#handOver.give(connection);
  }

  /** Takes back the connections that it has not come to, for others to have. Does nothing where that is impossible. */
  revoke(): void {
    this.#handOver.revoke();
  }

  /** For how long its slowest client has kept it waiting (milliseconds); -1 while it is the app's turn, or it is busy. */
  async idleFor(deadlineMs: number): Promise<number> {
    return (await this.#questions.ask((id) => ({ type: 'idle', id }), deadlineMs))?.ms ?? -1;
  }

  /**
   * Has it open the file of its access log again, by this path.
   * @throws Error when it could not, or is busy for too long to answer
   */
  async reopen(path: string): Promise<void> {
    const answer = await this.#questions.ask((id) => ({ type: 'reopen', id, path }), reopenMs);
    const failure = answer ? answer.failure : 'it is busy, and will reopen its log when it is not';
    if (this.#stage !== 'gone' && failure !== undefined)
      throw new Error(`worker ${this.id} (pid ${this.pid}): ${failure}`);
  }

  /** Whether it can still serve. @returns why not, as a clause; undefined also when it ends meanwhile */
  async check(): Promise<string | undefined> {
    const answer = await this.#questions.ask((id) => ({ type: 'check', id }), this.#bootMs);
    if (answer || this.#stage !== 'ready') return answer?.failure;
    return `its event loop has been blocked for ${this.#bootMs} ms`;
  }

  /**
   * What its event loops are doing. One that does not answer within `deadlineMs` is `blocked`, with what it has told last.
   */
  async look(how: Look, deadlineMs: number): Promise<readonly LoopView[]> {
    if (this.#stage === 'starting' || this.#stage === 'gone') return [];
    return this.#diagnostics.look(how, deadlineMs);
  }

  /** In which code its event loop, or those of its threads, are. A blocked one goes on after that. None when it ends meanwhile. */
  stacks(): Promise<readonly LoopStack[]> {
    return this.#diagnostics.stacks();
  }

  /**
   * Has it write a profile or a heap snapshot.
   * @param fd of a connected socket, which is closed here. @returns why it could not be written, as a clause
   */
  dump(order: DumpOrder, fd: number): Promise<string | undefined> {
    return this.#diagnostics.dump(order, fd);
  }

  /** Has it serve clients, if it was started held. */
  open(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.send({ type: 'open' });
  }

  /** The descriptor, if any, stays the caller's: the worker gets a copy. */
  answerSocket(id: number, answer: SecondaryAnswer): void {
    if (this.#stage === 'gone') return;
    try {
      this.#unit.sendSocket({ type: 'socket', id, answer });
    } catch (error) {
      this.send({ type: 'socket', id, answer: { code: (error as SystemCallError).code } });
    }
  }

  shed(): void {
    this.send({ type: 'shed' });
  }

  /** For its threads. */
  setPlacing(placing: Placing): void {
    this.send({ type: 'placing', placing });
  }

  setDenylist(denylist: DenylistEntries): void {
    this.send({ type: 'denylist', entries: denylist });
  }

  /** @param change what is new of it */
  setMigration(change: Partial<MigrationPolicy>): void {
    if (this.#policy.send === 'off' && typeof change.send === 'object') return;
    const policy = { ...this.#policy, ...change };
    const isSame = policy.receives === this.#policy.receives && policy.send === this.#policy.send;
    if (isSame && typeof policy.send === 'string') return;
    if (policy.send === 'off') this.#deadline.stopMigration();
    this.#policy = typeof policy.send === 'string' ? policy : { ...policy, send: this.#policy.send };
    this.send({ type: 'migration', policy });
  }

  /**
   * Ends it gracefully within `ms` milliseconds, then by force.
   * @param reason for the metrics; the first one counts
   * @param othersServe clients that connect again, and its connections migrate to them; told a second time without, those
   * that are left stay
   */
  drain(ms: number, reason: EndReason, othersServe = false): void {
    if (this.#stage === 'gone') return;
    this.#endReason ??= reason;
    if (this.#stage === 'draining' && !othersServe) this.setMigration({ send: 'off' });
    this.send({ type: 'drain', ms, othersServe });
    this.#stage = 'draining';
    this.#deadline.drainWithin(ms, othersServe && this.#policy.send !== 'off');
  }

  /** @param reason for the metrics; the first one counts */
  kill(reason?: EndReason): void {
    if (this.#stage === 'gone') return;
    this.#endReason ??= reason;
    this.#stage = 'draining';
    this.#unit.kill();
  }

  send(message: ToWorker): void {
    this.#unit.send(message);
  }

  /** It has not been told to end. */
  #causeOf({ code, signal, cause }: Pick<UnitExit, 'code' | 'signal' | 'cause'>): ExitCause {
    if (cause) return cause;
    if (this.readyMs === undefined) return 'boot';
    if (signal !== null) return 'signal';
    return code === 0 ? 'exit' : 'crash';
  }
}
