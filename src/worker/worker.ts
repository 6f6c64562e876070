// A worker process as the supervisor sees it. `drain` escalates to SIGKILL by itself, so whoever drains a worker
// can wait for `exit` and needs no timer of its own.
import type { ChildProcess } from 'node:child_process';
import { migratingMs, now } from '../clock.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import { type Events, endOf } from '../events.js';
import type { FlightBox } from '../flight/box.js';
import type { Quarantine } from '../flight/quarantine.js';
import type { Watched } from '../flight/watchlist.js';
import { HeartbeatFile } from '../hang/heartbeat.js';
import { HangWatch } from '../hang/process-watch.js';
import { guardChannel } from '../os/ipc-guard.js';
import type { Leash } from '../os/leash.js';
import { residentMemory } from '../os/process-tree.js';
import { HeardLoad } from '../upkeep/heard-load.js';
import { checkMessage, describeMessage, type Sender } from './checked-messages.js';
import { InvalidMessages } from './invalid-messages.js';
import { commandOf, type FromWorker, type ToWorker, unkeyed } from './messages.js';

export type Stage = 'starting' | 'ready' | 'draining' | 'gone';

export interface WorkerOptions {
  readonly id: number;
  readonly generation: number;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly leash: Leash | undefined;
  /** On record there are the requests that it is at. */
  readonly box: FlightBox | undefined;
  /** Which requests it should beware of. */
  readonly quarantine: Quarantine;
  readonly events: Events;
  /** Milliseconds that it may take until it is ready. */
  readonly bootMs: number;
  /** Milliseconds for which its event loop may be blocked; 0 where it is not watched from here. */
  readonly hangMs: number;
  /** It tells how loaded it is. */
  readonly isMeasured: boolean;
  /** Marks its messages. */
  readonly channelKey: string;
  /** It runs the app in threads. */
  readonly hasThreads: boolean;
}

/** How a worker ended. `livedMs` counts from when it was ready; 0 if it never was. */
export interface ExitReason {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly livedMs: number;
  /** It was told to. */
  readonly wanted: boolean;
}

/** After a deadline a worker gets this long to end by itself, also where it has to wait for a processor (milliseconds). */
const lastWord = 2000;
/** What it said before its exit is read within this time, unless somebody else holds its channel open (milliseconds). */
const unreadMs = 500;
/** One that has left a connection unanswered for this long is stuck, and gets no further ones (milliseconds). */
const silence = 500;
/** And while it boots this long: its own clock starts only when it begins to load the app. */
const lastBootWord = 1500;

export class WorkerHandle {
  readonly id: number;
  readonly generation: number;
  readonly pid: number;
  /** Settles when it can serve; rejects with a `StartupError`, also when it dies before. */
  readonly ready: Promise<void>;
  readonly exit: Promise<ExitReason>;
  /** Settles when it accepts no connection any more, as it drains or has ended. */
  readonly acceptsNoMore: Promise<void>;
  readonly #child: ChildProcess;
  readonly #gone: Promise<Pick<ExitReason, 'code' | 'signal'>>;
  readonly #leash: Leash | undefined;
  readonly #box: FlightBox | undefined;
  readonly #quarantine: Quarantine;
  readonly #hang: HangWatch | undefined;
  /** It has said itself in which code it is blocked. */
  #hasReported = false;
  readonly #beware = (watched: Watched): void => this.#say({ type: 'beware', watched });
  readonly #events: Events;
  readonly #invalid: InvalidMessages;
  /** By the numbers of the connections that were given: who waits for an answer, and who for their ends. */
  readonly #answers = new Map<number, (answer: 'accepted' | 'refused') => void>();
  readonly #ends = new Map<number, () => void>();
  #given = 0;
  /** Since when the oldest of the connections that it has not answered waits. */
  #unansweredSince = 0;
  #stage: Stage = 'starting';
  #readyAt: number | undefined;
  #served = 0;
  readonly #load = new HeardLoad();
  #killing: NodeJS.Timeout | undefined;
  /** Until when it may drain, on the clock of `clock.ts`. */
  #drainBy = Number.POSITIVE_INFINITY;
  /** Milliseconds that it has for it; undefined while its connections do not go to others. */
  #migrationMs: number | undefined;
  #onDraining = (): void => {};
  #onIdle: ((ms: number) => void) | undefined;
  #onReopened: ((failure?: string) => void) | undefined;

  constructor({
    id,
    generation,
    pid,
    child,
    leash,
    box,
    quarantine,
    events,
    bootMs,
    hangMs,
    isMeasured,
    channelKey,
    hasThreads,
  }: WorkerOptions) {
    this.#hang =
      box && hangMs > 0
        ? new HangWatch(pid, new HeartbeatFile(box.heartbeat), hangMs, () => child.kill('SIGKILL'))
        : undefined;
    this.id = id;
    this.generation = generation;
    this.pid = pid;
    this.#child = child;
    this.#leash = leash;
    this.#box = box;
    this.#quarantine = quarantine;
    this.#events = events;
    this.#gone = this.#leaving();
    this.#invalid = new InvalidMessages((count, type) => {
      events.tell({ event: 'worker-message-invalid', worker: id, pid, count, type });
    });
    guardChannel(child, (reason) => {
      events.tell({ event: 'worker-killed', worker: id, pid, reason });
      child.kill('SIGKILL'); // and is replaced, as what dies by itself
    });
    this.ready = this.#becomesReady(bootMs, isMeasured, channelKey, { pid, hasThreads });
    this.ready.catch(() => {}); // also when nobody waits for it
    this.exit = this.#ending();
    this.acceptsNoMore = new Promise((resolve) => {
      this.#onDraining = resolve;
    });
    void this.exit.then(this.#onDraining);
    if (box && box.plan.regions > 0) {
      const { watched } = quarantine;
      if (watched.suspects.length + watched.refused.length > 0) this.#beware(watched);
      quarantine.on('change', this.#beware);
    }
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Connections that were given to it and have not ended. */
  get active(): number {
    return this.#ends.size;
  }

  /** It has been given a connection and does not answer: its event loop is blocked. */
  get isSilent(): boolean {
    return this.#answers.size > 0 && now() - this.#unansweredSince > silence;
  }

  /** From 0 to 1; undefined while it is not measured. */
  get load(): number | undefined {
    return this.#load.value;
  }

  get memory(): number {
    return residentMemory(this.pid);
  }

  get served(): number {
    return this.#served;
  }

  /** For how long it has been able to serve (milliseconds); undefined if it never was. */
  get readyMs(): number | undefined {
    return this.#readyAt === undefined ? undefined : now() - this.#readyAt;
  }

  /**
   * Gives it a connection. The connection stays open here until it has answered; a refused one is the caller's again.
   * @param ended called when an accepted connection has ended, if only because the worker has
   */
  async give(connection: IncomingConnection, ended: () => void): Promise<'accepted' | 'refused'> {
    if (this.#stage === 'draining' || this.#stage === 'gone') return 'refused';
    const id = ++this.#given;
    this.#ends.set(id, ended);
    const answer = await new Promise<'accepted' | 'refused'>((answered) => {
      if (this.#answers.size === 0) this.#unansweredSince = now();
      this.#answers.set(id, answered);
      // An error means that it is gone; `exit` answers for it then.
      const message = { type: 'connection', id, ...connection.facts } as const;
      this.#child.send(commandOf(message), connection.unreadSocket, { keepOpen: true }, () => {});
    });
    if (answer === 'refused') this.#ends.delete(id);
    else connection.close(); // our copy
    return answer;
  }

  /** For how long its client has kept it waiting (milliseconds); -1 while it is the app's turn. */
  idleFor(deadlineMs: number): Promise<number> {
    return new Promise((answer) => {
      const late = setTimeout(answer, deadlineMs, -1); // a worker that does not answer is busy
      this.#onIdle = (ms) => {
        clearTimeout(late);
        answer(ms);
      };
      this.#say({ type: 'idle?' });
    });
  }

  /** Tells it to close the slowest of its idle connections. */
  shed(): void {
    this.#say({ type: 'shed' });
  }

  /**
   * Has it open the file of its access log anew. Settles when it has, or has ended.
   * @throws Error when it could not, or has not answered within `deadlineMs` milliseconds
   */
  async reopen(path: string, deadlineMs: number): Promise<void> {
    const answered = new Promise<string | undefined>((answer) => {
      this.#onReopened = answer;
      this.#say({ type: 'reopen', path });
    });
    let late: NodeJS.Timeout | undefined;
    const failure = await Promise.race([
      answered,
      this.#gone.then(() => undefined),
      new Promise<string>((answer) => {
        late = setTimeout(answer, deadlineMs, 'it is busy, and will do so when it is not');
      }),
    ]);
    clearTimeout(late);
    if (failure !== undefined) throw new Error(`worker ${this.id} (pid ${this.pid}): ${failure}`);
  }

  /**
   * Ends it gracefully within `ms` milliseconds, then by force.
   * @param carries its connections are given to others; told a second time without, those that it has stay
   */
  drain(ms: number, carries = false): void {
    if (this.#stage === 'gone') return;
    if (this.#stage === 'draining' && !carries) this.stay();
    else this.#say({ type: 'drain', ms, carries });
    this.#stage = 'draining';
    if (now() + ms >= this.#drainBy) return; // it has been told to be quicker
    if (carries) this.#migrationMs = ms;
    this.#killAfter(ms);
  }

  #killAfter(ms: number): void {
    this.#drainBy = now() + ms;
    clearTimeout(this.#killing);
    this.#killing = setTimeout(() => {
      const reason = `it had not ended ${lastWord} ms after its ${ms} ms to drain`;
      this.#events.tell({ event: 'worker-killed', worker: this.id, pid: this.pid, reason });
      this.kill();
    }, ms + lastWord);
  }

  /** Tells it not to give connections to others. */
  stay(): void {
    this.#migrationMs = undefined;
    this.#say({ type: 'stay' });
  }

  /** Tells it to give that part of its connections, from 0 to 1, to others. */
  share(part: number): void {
    this.#say({ type: 'share', part });
  }

  /** Tells it that connections of others are about to come, or no longer. */
  expect(isExpecting: boolean): void {
    this.#say({ type: 'expect', isExpecting });
  }

  kill(): void {
    if (this.#stage === 'gone') return;
    this.#stage = 'draining';
    this.#child.kill('SIGKILL');
  }

  #becomesReady(bootMs: number, isMeasured: boolean, key: string, sender: Sender): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        const message = `the app did not load within ${bootMs} ms (--boot-timeout): it blocks the event loop of its worker`;
        reject(new StartupError(ExitCode.app, message));
        this.kill();
      }, bootMs + lastBootWord);
      let isSettled = false;
      const handlers: { readonly [T in FromWorker['type']]: (message: Extract<FromWorker, { type: T }>) => void } = {
        ready: () => {
          if (isSettled) return;
          isSettled = true;
          clearTimeout(late);
          this.#readyAt = now();
          this.#hang?.begin();
          if (isMeasured) this.#load.expect();
          if (this.#stage === 'starting') this.#stage = 'ready';
          this.#events.tell({ event: 'worker-started', worker: this.id, pid: this.pid, generation: this.generation });
          resolve();
        },
        failed: ({ exitCode, message, stack }) => {
          isSettled = true;
          reject(Object.assign(new StartupError(exitCode, message), { stack }));
        },
        accepted: ({ id }) => this.#answer(id, 'accepted'),
        refused: ({ id }) => this.#answer(id, 'refused'),
        closed: ({ id }) => {
          if (this.#answers.has(id)) return; // it has not been accepted
          this.#ends.get(id)?.();
          this.#ends.delete(id);
        },
        served: ({ count }) => {
          this.#served += count;
        },
        draining: () => this.#onDraining(),
        migrating: () => {
          if (this.#stage === 'draining' && this.#migrationMs !== undefined)
            this.#killAfter(Math.max(migratingMs, this.#migrationMs));
        },
        load: ({ load }) => {
          if (isMeasured) this.#load.heard(load);
        },
        idle: ({ ms }) => this.#onIdle?.(ms),
        reopened: ({ failure }) => this.#onReopened?.(failure),
        event: ({ event }) => {
          if (event.event === 'hung' && event.tid === 0) this.#hasReported = true;
          this.#events.tell(event);
        },
      };
      this.#child.on('message', (raw) => {
        const sent = unkeyed(key, raw);
        if (sent === undefined) return; // the app's
        const message = checkMessage(sent, sender);
        if (message) handlers[message.type](message as never);
        else this.#invalid.add(describeMessage(sent));
      });
      this.#child.once('error', (error) => {
        reject(new StartupError(ExitCode.boot, `cannot start a worker process: ${error.message}`, { cause: error }));
      });
      void this.#gone.then(({ code, signal }) => {
        clearTimeout(late);
        reject(new DiedYoung(signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`, signal));
      });
    });
  }

  #ending(): Promise<ExitReason> {
    return new Promise((resolve) => {
      const gone = ({ code, signal }: Pick<ExitReason, 'code' | 'signal'>) => {
        const wanted = this.#stage === 'draining';
        this.#stage = 'gone';
        clearTimeout(this.#killing);
        this.#leash?.release();
        this.#quarantine.off('change', this.#beware);
        this.#invalid.flush();
        this.#tellOfHang();
        this.#tellOfRequests(wanted);
        // What it had not accepted is still ours to place; what it had is lost.
        const accepted = [...this.#ends].filter(([id]) => !this.#answers.has(id));
        for (const id of [...this.#answers.keys()]) this.#answer(id, 'refused');
        for (const [, ended] of accepted) ended();
        this.#ends.clear();
        resolve({ code, signal, livedMs: this.readyMs ?? 0, wanted });
      };
      void this.#gone.then(gone);
    });
  }

  /** Where it could not say itself that it was blocked. */
  #tellOfHang(): void {
    this.#hang?.end();
    const { pid } = this;
    const stillMs = this.#hang?.blockedMs;
    if (stillMs === undefined || this.#hasReported) return;
    this.#events.tell({ event: 'hung', pid, stillMs, stack: [], requests: [] });
  }

  /** Of those that it was at. */
  #tellOfRequests(wanted: boolean): void {
    const requests = this.#box?.take() ?? [];
    this.#box?.close();
    const { pid } = this;
    for (const request of requests) this.#events.tell({ pid, ...endOf(request, wanted) });
  }

  /** Settles when it has exited and all that it said has been heard: its last words may come after its exit. */
  #leaving(): Promise<Pick<ExitReason, 'code' | 'signal'>> {
    return new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        const heard = (): void => {
          clearTimeout(late);
          resolve({ code, signal });
        };
        const late = setTimeout(() => setImmediate(heard), unreadMs); // what has come by then is read before
        if (this.#child.connected) this.#child.once('disconnect', heard);
        else heard();
      });
    });
  }

  #answer(id: number, answer: 'accepted' | 'refused'): void {
    const answered = this.#answers.get(id);
    if (!answered) return;
    answered(answer);
    this.#answers.delete(id);
    this.#unansweredSince = now(); // it lives
  }

  #say(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(commandOf(message), () => {}); // an error: it is gone, and `exit` says so
  }
}

/** As `WorkerHandle.reopen`, of all at once. @throws Error of the first that could not; the others have */
export async function reopenAll(workers: readonly WorkerHandle[], path: string): Promise<void> {
  const outcomes = await Promise.allSettled(workers.map((worker) => worker.reopen(path, reopenMs)));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** A worker that has not opened its access log anew by then is busy (milliseconds). */
const reopenMs = 5000;

/** A worker died before it was ready and did not say why. */
export class DiedYoung extends StartupError {
  constructor(
    message: string,
    readonly signal: NodeJS.Signals | null,
  ) {
    super(ExitCode.app, message);
  }
}
