// A worker as its host sees it, process or thread. `drain` escalates to `kill` by itself, so the caller can
// wait for `exit` and needs no timer of its own.
import { LoopSamples } from '../balance/loop-samples.js';
import type { Placing } from '../balance/policy.js';
import type { SessionKey } from '../client/session.js';
import { migratingReportTimeoutMs, now, within } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { keepUnread, takeBack } from '../connection/unread-copies.js';
import { deferred } from '../deferred.js';
import { ExitCode, StartupError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import { interruptMs, type LoopStack, patienceMs, type Unreadable, unreadable } from '../hang/loop-stack.js';
import type { DenylistEntries } from '../inflight/denylist.js';
import { defaultPolicy, type MigrationPolicy } from '../migration/policy.js';
import { closeDescriptor } from '../os/descriptor.js';
import type { SystemCallError } from '../os/libc.js';
import type { EndReason, ExitCause } from '../reports/exit-cause.js';
import type { WorkerIdentity, WorkerReport } from '../reports/report.js';
import { ReportedLoad } from '../scaling/reported-load.js';
import { type Look, type LoopView, maxRequestViews } from '../scoreboard/loop-view.js';
import type { SecondaryAddress, SecondaryAnswer, SecondaryRole } from '../secondary/address.js';
import type { DumpOrder, FromWorker, ToWorker } from './messages.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';
import type { ListeningSockets } from './settings.js';

export type Stage = 'starting' | 'ready' | 'draining' | 'gone';

/** How a connection has ended: `unread`, its worker has died before it read from it, and it is the caller's again. */
export type Ending = 'over' | 'unread';

/**
 * What came of handing a connection over: `refused`, it is the caller's again; `gone`, its client has gone; or it was taken,
 * and ends some day.
 */
export type Given = 'refused' | 'gone' | { readonly ended: Promise<Ending> };

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
}

/**
 * A worker that has not taken a connection within this time gets no further ones until it does, and one that has refused a
 * connection gets none for as long (milliseconds).
 */
const silentAfterMs = 500;
/** A worker that has not reopened its access log by then is busy (milliseconds). */
const reopenMs = 5000;
/** A worker that blocks its event loop while it loads the app is killed this long after --boot-timeout (milliseconds). */
const bootGraceMs = 1500;

/** A process with threads asks these first (milliseconds). */
const hostStacksMs = patienceMs + interruptMs + 2000;
/** A worker that has not answered by then is blocked, and begins no dump (milliseconds). */
const dumpPatienceMs = 2000;
/** Besides the time of a profile (milliseconds). */
export const dumpTimeoutMs = 600_000;

type Answer = Extract<FromWorker, { type: 'answer' }>;

interface Pending {
  readonly answer: (given: Given) => void;
  readonly connection: IncomingConnection;
  readonly end: (ending: Ending) => void;
  readonly ended: Promise<Ending>;
  isTaken: boolean;
}

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
  /** Called with each session that it begins (--sticky). */
  onSession: (session: SessionKey) => void = () => {};
  readonly #unit: Unit;
  readonly #listener: WorkerListener;
  readonly #bootMs: number;
  readonly #load = new ReportedLoad();
  readonly #loop = new LoopSamples(now());
  /** Connections that were handed over and have not ended, by their numbers, which go up. */
  readonly #pending = new Map<number, Pending>();
  readonly #questions = new Map<number, (answer: Answer | undefined) => void>();
  #isHeld: boolean;
  #handed = 0;
  #asked = 0;
  /** `Unit.handled` at the last look, and since when it has not changed. */
  #handled = 0;
  #handledAt = 0;
  /** When it last refused a connection: it had no descriptor for it, or was about to end. */
  #refusedAt = Number.NEGATIVE_INFINITY;
  /** Connections that were taken back and that its event loop has not come to yet. */
  #revoked = 0;
  #stage: Stage = 'starting';
  #readyAt: number | undefined;
  #answered = 0;
  /** Heap snapshots that are being taken. */
  #blocking = 0;
  #policy = defaultPolicy;
  /** What its event loops have told last, and when. */
  #views: readonly LoopView[] = [];
  #viewsAt = now();
  #killing: NodeJS.Timeout | undefined;
  /** Until when it may drain, on the clock of `clock.ts`. */
  #drainBy = Number.POSITIVE_INFINITY;
  /** Why it has been told to end. */
  #endReason: EndReason | undefined;
  /** The time that it has to drain; undefined while its connections do not migrate. */
  #migrationMs: number | undefined;

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
  }: WorkerOptions) {
    this.id = id;
    this.generation = generation;
    this.#isHeld = isHeld;
    this.secondary = secondary;
    this.accepts = accepts;
    this.maxConnections = maxConnections;
    this.#bootMs = bootMs;
    this.pid = unit.pid;
    this.tid = unit.tid;
    this.#unit = unit;
    this.#listener = listener;
    const ready = deferred<void>();
    const acceptsNoMore = deferred<void>();
    const hasSecondary = deferred<void>();
    const closed = deferred<void>();
    this.closed = closed.promise;
    this.hasSecondary = hasSecondary.promise;
    this.ready = ready.promise;
    this.ready.catch(() => {}); // also when nothing waits for it
    this.acceptsNoMore = acceptsNoMore.promise;
    const late = setTimeout(() => {
      const message = `the app did not load within ${bootMs} ms (--boot-timeout): it blocks the event loop of its worker`;
      ready.reject(new StartupError(ExitCode.app, message));
      unit.kill(); // not `this.kill()`: its end was not asked for
    }, bootMs + bootGraceMs);
    let isSettled = false;
    const handlers: { readonly [T in FromWorker['type']]: (message: Extract<FromWorker, { type: T }>) => void } = {
      ready: () => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(late);
        this.#readyAt = now();
        unit.watch();
        if (isMeasured) this.#load.start();
        if (this.#stage === 'starting') this.#stage = 'ready';
        listener.ready?.(this);
        ready.resolve();
      },
      failed: ({ exitCode, message, stack }) => {
        isSettled = true;
        ready.reject(Object.assign(new StartupError(exitCode, message), { stack }));
        this.#killing ??= setTimeout(() => unit.kill(), unit.exitGraceMs); // it exits by itself
      },
      taken: ({ id }) => {
        this.#taken(id);
        const connection = this.#pending.get(id)?.connection;
        if (connection) keepUnread(connection);
      },
      refused: ({ id }) => {
        this.#refusedAt = now();
        this.#refused(id);
      },
      ended: ({ id }) => this.#connectionEnded(id),
      answered: ({ count }) => {
        this.#answered += count;
      },
      session: ({ session }) => this.onSession(session),
      closed: () => {
        if (this.#stage === 'ready') closed.resolve();
      },
      draining: () => acceptsNoMore.resolve(),
      migrating: () => {
        if (this.#stage !== 'draining' || this.#migrationMs === undefined) return;
        this.#killAfter(Math.max(migratingReportTimeoutMs, this.#migrationMs));
        listener.migrating?.();
      },
      chdir: () => {}, // its unit has done it
      load: ({ load }) => {
        if (isMeasured) this.#load.report(load);
      },
      answer: (answer) => this.#questions.get(answer.id)?.(answer),
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
      clearTimeout(late);
      clearTimeout(this.#killing);
      ready.reject(new DiedYoung(reason, signal));
      acceptsNoMore.resolve();
      const { pid, tid } = this;
      for (const request of requests) listener.tell({ kind: 'request-ended', pid, tid, ...request, isWanted });
      let connections = this.active + unit.accepted;
      for (const answer of this.#questions.values()) answer(undefined);
      // What it had not taken, or not read from, is still the host's to place; what it had is lost.
      for (const [id, { isTaken, connection, end }] of [...this.#pending]) {
        // One that was told to end may have sent it on.
        if (isTaken && !isWanted && takeBack(connection)) {
          connections--;
          end('unread');
          this.#pending.delete(id);
        } else if (isTaken || id <= unit.handled) this.#connectionEnded(id);
        else this.#refused(id);
      }
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
    return this.#pending.size;
  }

  /** Connections that were handed to it so far. */
  get placed(): number {
    return this.#handed;
  }

  /** It does not take the connections that are handed to it: its event loop is blocked, or it has no descriptor left. */
  get isUnresponsive(): boolean {
    if (this.#revoked > 0 || now() - this.#refusedAt < silentAfterMs) return true;
    const { handled } = this.#unit;
    if (handled !== this.#handled) this.#loop.sawProgress();
    if (handled !== this.#handled || handled === this.#handed) {
      this.#handled = handled;
      this.#handledAt = now();
    }
    return now() - this.#handledAt > silentAfterMs;
  }

  get isBusy(): boolean {
    const isBusy = this.#unit.handled < this.#handed || this.#unit.waitsForEvents === false;
    this.#loop.add(isBusy, now());
    return isBusy;
  }

  get lagMs(): number {
    return this.#loop.lagAt(now());
  }

  get utilization(): number {
    return this.#loop.utilizationAt(now());
  }

  /** From 0 to 1; undefined while it is not measured. */
  get load(): number | undefined {
    return this.#load.value;
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
    return this.#readyAt === undefined ? undefined : now() - this.#readyAt;
  }

  /**
   * Hands a connection over. It stays open here until the worker has read from it; a refused one is the caller's again.
   * @throws SystemCallError (EMFILE); the connection is closed then
   */
  give(connection: IncomingConnection): Promise<Given> {
    if (this.#stage === 'draining' || this.#stage === 'gone') return Promise.resolve('refused');
    void this.isUnresponsive; // looks
    const id = this.#handed + 1;
    const { promise: ended, resolve: end } = deferred<Ending>();
    return new Promise((answer, fail) => {
      this.#pending.set(id, { connection, answer, end, ended, isTaken: false });
      try {
        if (this.#unit.hand(connection, id)) {
          this.#handed = id;
          return;
        }
        answer('gone');
      } catch (error) {
        fail(error);
      }
      this.#pending.delete(id);
    });
  }

  /** Takes back the connections that it has not come to, for others to have. Does nothing where that is impossible. */
  revoke(): void {
    const handled = this.#unit.revoke?.(this.#handed);
    if (handled === undefined) return;
    for (const id of [...this.#pending.keys()]) {
      if (id <= handled) continue;
      this.#revoked++;
      this.#refused(id);
    }
  }

  /** For how long its slowest client has kept it waiting (milliseconds); -1 while it is the app's turn, or it is busy. */
  async idleFor(deadlineMs: number): Promise<number> {
    return (await this.#ask((id) => ({ type: 'idle', id }), deadlineMs))?.ms ?? -1;
  }

  /**
   * Has it open the file of its access log again, by this path.
   * @throws Error when it could not, or is busy for too long to answer
   */
  async reopen(path: string): Promise<void> {
    const answer = await this.#ask((id) => ({ type: 'reopen', id, path }), reopenMs);
    const failure = answer ? answer.failure : 'it is busy, and will reopen its log when it is not';
    if (this.#stage !== 'gone' && failure !== undefined)
      throw new Error(`worker ${this.id} (pid ${this.pid}): ${failure}`);
  }

  /** Whether it can still serve. @returns why not, as a clause; undefined also when it ends meanwhile */
  async check(): Promise<string | undefined> {
    const answer = await this.#ask((id) => ({ type: 'check', id }), this.#bootMs);
    if (answer || this.#stage !== 'ready') return answer?.failure;
    return `its event loop has been blocked for ${this.#bootMs} ms`;
  }

  /**
   * What its event loops are doing. One that does not answer within `deadlineMs` is `blocked`, with what it has told last.
   */
  async look(how: Look, deadlineMs: number): Promise<readonly LoopView[]> {
    if (this.#stage === 'starting' || this.#stage === 'gone') return [];
    const answer = await this.#ask((id) => ({ type: 'look', id, how }), deadlineMs);
    if (answer) {
      this.#views = answer.views ?? [];
      this.#viewsAt = now();
      return this.#views;
    }
    if (this.stage === 'gone') return [];
    const staleMs = Math.round(now() - this.#viewsAt);
    // Of several threads each has its own journal, and is blocked only together with their host.
    const known = this.#views.length > 0 ? this.#views : [{ ...untold, tid: this.tid }];
    if (known.length > 1) return known.map((view) => ({ ...view, state: 'blocked', staleMs }));
    const requests = this.#unit.inFlight();
    const oldest = requests.slice(0, maxRequestViews);
    return known.map((view) => ({ ...view, state: 'blocked', staleMs, inFlight: requests.length, oldest }));
  }

  /** In which code its event loop, or those of its threads, are. A blocked one goes on after that. None when it ends meanwhile. */
  async stacks(): Promise<readonly LoopStack[]> {
    const unit = this.#unit;
    if (!unit.interrupt) {
      const answer = await this.#ask((id) => ({ type: 'stacks', id }), hostStacksMs);
      return answer?.loops ?? this.#unreadable('silent');
    }
    let reason: Unreadable | undefined;
    let timer: NodeJS.Timeout | undefined;
    const answer = await this.#ask((id) => {
      timer = setTimeout(() => {
        reason = unit.interrupt?.(id);
      }, patienceMs);
      return { type: 'stacks', id };
    }, patienceMs + interruptMs);
    clearTimeout(timer);
    const [loop] = answer?.loops ?? [];
    return loop ? [{ ...loop, tid: this.tid }] : this.#unreadable(reason ?? 'native');
  }

  /**
   * Has it write a profile or a heap snapshot.
   * @param fd of a connected socket, which is closed here. @returns why it could not be written, as a clause
   */
  async dump(order: DumpOrder, fd: number): Promise<string | undefined> {
    const timeoutMs = order.ms + dumpTimeoutMs;
    const isResponsive = await this.#ask((id) => ({ type: 'idle', id }), dumpPatienceMs);
    const mayBlock = order.kind === 'heap' ? 1 : 0;
    this.#countBlocking(mayBlock);
    try {
      const answering = isResponsive
        ? this.#ask(
            (id) => ({ type: 'dump', id, order }),
            timeoutMs,
            (message) => this.#unit.sendDump(message, fd),
          )
        : undefined;
      closeDescriptor(fd); // a copy has been sent
      const answer = await answering;
      if (answer) return answer.failure;
      if (this.#stage === 'gone') return 'it has ended';
      return isResponsive
        ? `it has not finished within ${timeoutMs / 1000} s`
        : 'its event loop is blocked; mpserve ctl stacks shows by what';
    } catch (error) {
      return (error as SystemCallError).message;
    } finally {
      this.#countBlocking(-mayBlock);
    }
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
    if (policy.send === 'off') this.#migrationMs = undefined;
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
    if (now() + ms >= this.#drainBy) return; // it has been told to be quicker
    if (othersServe && this.#policy.send !== 'off') this.#migrationMs = ms;
    this.#killAfter(ms);
  }

  kill(): void {
    if (this.#stage === 'gone') return;
    this.#stage = 'draining';
    this.#unit.kill();
  }

  send(message: ToWorker): void {
    this.#unit.send(message);
  }

  /** It has not been told to end. */
  #causeOf({ code, signal, cause }: Pick<UnitExit, 'code' | 'signal' | 'cause'>): ExitCause {
    if (cause) return cause;
    if (this.#readyAt === undefined) return 'boot';
    if (signal !== null) return 'signal';
    return code === 0 ? 'exit' : 'crash';
  }

  #killAfter(ms: number): void {
    const graceMs = this.#unit.exitGraceMs;
    this.#drainBy = now() + ms;
    clearTimeout(this.#killing);
    this.#killing = setTimeout(() => {
      this.#listener.killed(this, `it had not ended ${graceMs} ms after its ${ms} ms to drain`);
      this.kill();
    }, ms + graceMs);
  }

  /** @returns undefined when it has not answered within `deadlineMs` milliseconds, or has ended */
  async #ask<Q extends ToWorker>(
    question: (id: number) => Q,
    deadlineMs: number,
    send = (message: Q) => this.send(message),
  ): Promise<Answer | undefined> {
    if (this.#stage === 'gone') return undefined;
    const id = ++this.#asked;
    const { promise, resolve } = deferred<Answer | undefined>();
    this.#questions.set(id, resolve);
    try {
      send(question(id));
      return await within(deadlineMs, promise);
    } finally {
      this.#questions.delete(id);
    }
  }

  /** A heap snapshot that has been given up may still be taken while another one begins. */
  #countBlocking(change: number): void {
    this.#blocking += change;
    this.#unit.setMayBlock(this.#blocking > 0);
  }

  #unreadable(reason: Unreadable): readonly LoopStack[] {
    return this.#stage === 'gone' ? [] : [unreadable(this.tid, reason, this.#unit.inFlight())];
  }

  #taken(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending || pending.isTaken) return;
    pending.isTaken = true;
    pending.answer({ ended: pending.ended });
  }

  #refused(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending || pending.isTaken) return;
    this.#pending.delete(id);
    pending.answer('refused');
  }

  /** Where the worker says `taken` in shared memory, its end is the first that is heard of it. */
  #connectionEnded(id: number): void {
    const pending = this.#pending.get(id);
    if (!pending) {
      if (this.#revoked > 0) this.#revoked--;
      return;
    }
    if (!pending.isTaken && id > this.#unit.handled) return; // it has not been taken
    this.#taken(id);
    pending.connection.close(); // our copy
    pending.end('over');
    this.#pending.delete(id);
  }
}

/** Of an event loop that has been blocked since before the first look. */
const untold: Omit<LoopView, 'tid'> = {
  state: 'blocked',
  connections: 0,
  requests: 0,
  inFlight: 0,
  oldest: [],
  received: 0,
  sent: 0,
  utilization: 1,
  heapBytes: 0,
  heapTotalBytes: 0,
};

/** A worker ended before it was ready and did not say why. */
export class DiedYoung extends StartupError {
  constructor(
    readonly reason: string,
    readonly signal: NodeJS.Signals | null,
  ) {
    super(ExitCode.app, `the app ended the worker while it was loading: ${reason} (does it call process.exit?)`);
  }
}
