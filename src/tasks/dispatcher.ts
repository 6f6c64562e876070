// The app of a process that hands its requests to threads: to the one that has its session, or that has been free for
// longest. A request gets here when it has a place, so that it waits only for the thread of its session, or where its thread
// has just died.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '../app/app.js';
import { Sessions } from '../balance/sessions.js';
import type { SessionKey } from '../client/session.js';
import { now } from '../clock.js';
import type { Rejoining, RequestRoom } from '../pipeline/overload.js';
import type { PipelineResponse } from '../pipeline/response.js';
import { HandedRequest } from './handed-request.js';
import { SessionLines } from './session-lines.js';
import type { SessionNamer } from './session-namer.js';
import { TaskThread, type TaskThreadListener, type ThreadEnd } from './task-thread.js';
import { UsualTimes } from './usual-times.js';
import { type AppFacts, maxAhead, type ThreadPort } from './wire.js';

export interface DispatcherOptions {
  readonly tasksPerThread: number;
  /** Requests that a thread may have besides, which it has not begun. */
  readonly ahead: number;
  /** That a request may wait for a thread (milliseconds). */
  readonly queueTimeout: number;
  /** Whether a request that may run twice runs once more when its thread has died. @param req of GET or HEAD */
  readonly mayRetry: (req: IncomingMessage) => boolean;
  /** That the threads share. */
  readonly cores: number;
  /** Told before each such request. */
  readonly onRetry: () => void;
  /** The client of a request has been answered as it took too long, and the thread still has it. */
  readonly onOverdue: (tid: number) => void;
  readonly onFacts: (facts: AppFacts) => void;
  /** For --sticky. */
  readonly sticky: StickyOptions | undefined;
}

export interface StickyOptions {
  readonly sessionOf: SessionNamer;
  /** As those of `Sessions`. */
  readonly isBegunByWorkers: boolean;
  readonly onPlacedAgain: (count: number) => void;
}

/** Threads that stay free where another one may wait for a slow client: one of them may hang meanwhile. */
const minFree = 2;

/** Between two looks for requests that have waited for too long (milliseconds). */
const watchEveryMs = 50;

export class Dispatcher implements App, RequestRoom, TaskThreadListener {
  readonly kind = 'listener';
  readonly isElsewhere = true;
  onRoom = (): void => {};
  rejoining: Rejoining | undefined;
  readonly #options: DispatcherOptions;
  readonly #threads = new Map<number, TaskThread>();
  /** Those that have room, the one that has had it for longest first. */
  readonly #free: TaskThread[] = [];
  readonly #sessions: Sessions | undefined;
  readonly #lines = new SessionLines();
  /** They have places and no thread. */
  readonly #waiting: HandedRequest[] = [];
  /** Slow ones, for which one thread more than they have would leave none for the others. */
  readonly #slow: HandedRequest[] = [];
  readonly #times = new UsualTimes();
  /** Requests that are in threads without a place. */
  #lingering = 0;
  #watch: NodeJS.Timeout | undefined;
  #handed = 0;
  #facts: AppFacts | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const { sticky } = options;
    this.#sessions = sticky && new Sessions(sticky.onPlacedAgain, sticky.isBegunByWorkers);
  }

  /** undefined before a thread has been ready. */
  get appFacts(): AppFacts | undefined {
    return this.#facts;
  }

  get continues(): boolean {
    return this.#facts?.continues ?? false;
  }

  handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const response = res as PipelineResponse; // of the pipeline, which calls it
    const session = this.#options.sticky?.sessionOf(req, response);
    const request = new HandedRequest(++this.#handed, req, response, session, (tid) => this.#isOverdue(tid));
    if (request.isClosed) return Promise.resolve();
    request.whenReady(
      () => this.#free.length > Math.max(minFree, this.#threads.size / 2),
      () => this.#place(request),
    );
    return request.outcome;
  }

  /** A response has begun the session. */
  sessionBegan(session: SessionKey, { tid }: PipelineResponse): void {
    const thread = tid === undefined ? undefined : this.#threads.get(tid);
    if (thread) this.#sessions?.begin(session, thread);
  }

  hasRoom(taken: number): boolean {
    const { tasksPerThread, ahead } = this.#options;
    return taken + this.#lingering < this.#threads.size * (tasksPerThread + ahead);
  }

  waitingOf(taken: number): number {
    return Math.max(0, taken + this.#lingering - this.#threads.size * this.#options.tasksPerThread);
  }

  added(tid: number, port: ThreadPort): TaskThread {
    const { tasksPerThread, ahead } = this.#options;
    const thread = new TaskThread(tid, port, tasksPerThread, ahead, this);
    this.#threads.set(tid, thread);
    this.freed(thread, true);
    return thread;
  }

  ended(thread: TaskThread, { reason, cause }: ThreadEnd): void {
    for (const request of thread.ended()) {
      if (request.mayRunAgain && cause !== 'hang' && this.#options.mayRetry(request.req)) {
        this.#options.onRetry();
        request.runAgain();
        this.#place(request);
      } else request.lost(reason, cause);
    }
  }

  freed(thread: TaskThread, isFree: boolean): void {
    this.#giveInLine(thread);
    if (isFree && thread.isFree) this.#free.push(thread);
    this.#giveSlow();
    this.#giveWaiting();
    this.onRoom();
    // What waits behind a slow request elsewhere would be begun here at once.
    if (isFree && thread.isFree) setImmediate(this.#level);
  }

  closed(thread: TaskThread, requests: readonly HandedRequest[]): void {
    this.#threads.delete(thread.tid);
    this.onRoom(); // there is less
    const at = this.#free.indexOf(thread);
    if (at >= 0) this.#free.splice(at, 1);
    this.#moveOn(requests);
    this.#placeAgain(this.#lines.of(thread));
  }

  took({ req: { method = '', url = '' } }: HandedRequest, ms: number): void {
    if (this.#keepsTimes) this.#times.took(method, url, ms);
  }

  lingering(change: 1 | -1): void {
    this.#lingering += change;
    this.onRoom();
  }

  facts(facts: AppFacts): void {
    this.#facts = facts;
    this.#options.onFacts(facts);
  }

  /** Gives requests that have not begun to threads that are free. */
  readonly #level = (): void => {
    for (const thread of this.#threads.values()) {
      if (this.#free.length === 0) return;
      if (thread.hasAhead && this.#mayMove(thread)) this.#takeBackFrom(thread);
    }
  };

  /** Requests of sessions that have begun elsewhere stay. */
  #mayMove(thread: TaskThread): boolean {
    return !this.#sessions || thread.ahead.some(({ session, beginsSession }) => session === undefined || beginsSession);
  }

  #takeBackFrom(thread: TaskThread): void {
    const requests = thread.takeBack();
    // It had not begun the first one, either.
    if (thread.isFree && !this.#free.includes(thread)) this.#free.push(thread);
    const moved = this.#moveOn(requests);
    if (moved.size === 0) return;
    this.#placeAgain(this.#lines.of(thread).filter(({ session }) => session !== undefined && moved.has(session)));
    this.#giveInLine(thread);
  }

  /** Of a thread that has not begun them; they are older than those that wait here. @returns sessions of another thread now */
  #moveOn(requests: readonly HandedRequest[]): ReadonlySet<SessionKey> {
    const left: HandedRequest[] = [];
    const moved = new Set<SessionKey>();
    for (const request of requests) {
      request.takenBack();
      if (request.isClosed) continue;
      const { session, beginsSession } = request;
      const mayMove = session === undefined || beginsSession;
      const isRefused = this.#isDue(request) && !(mayMove && this.#free.length > 0);
      if (isRefused) this.#refuse(request, 'queue-timeout');
      else if (session !== undefined && this.#movesSession(request)) moved.add(session);
      if (!isRefused && !this.#give(request, true)) left.push(request);
    }
    this.#waiting.unshift(...left.filter(({ isSlow }) => !isSlow));
    this.#slow.unshift(...left.filter(({ isSlow }) => isSlow));
    if (left.length > 0) this.#watchWaiting();
    return moved;
  }

  /** Requests that waited in line. */
  #placeAgain(requests: readonly HandedRequest[]): void {
    for (const request of requests) {
      request.leave();
      this.#place(request);
    }
  }

  /** No thread has begun a request of its session, all of which have been taken back together: another thread may have it. */
  #movesSession(request: HandedRequest): boolean {
    const chosen = request.beginsSession ? this.#choose(request) : undefined;
    request.beginsSession = chosen !== undefined;
    if (chosen) this.#sessions?.move(request.session as SessionKey, chosen);
    return chosen !== undefined;
  }

  #place(request: HandedRequest): void {
    const { session } = request;
    const { method = '', url = '' } = request.req;
    // The thread of a session has all its requests.
    request.isSlow = session === undefined && this.#keepsTimes && this.#times.isSlow(method, url);
    if (request.isSlow) {
      this.#slow.push(request);
      this.#giveSlow();
      if (this.#slow.length > 0) this.#watchWaiting();
      return;
    }
    const isKnown = session !== undefined && this.#sessions?.knows(session);
    // One that waits for a thread that is free would never have it if others went ahead.
    if ((this.#waiting.length === 0 || isKnown) && this.#give(request)) return;
    this.#waiting.push(request);
    this.#watchWaiting();
  }

  /** @param isFirst it has waited for longer than those in line. @returns whether a thread could have it, or it is in line */
  #give(request: HandedRequest, isFirst = false): boolean {
    const thread = this.#threadFor(request);
    if (!thread) return false;
    if (!canTake(thread, request) || (!isFirst && this.#lines.has(thread))) this.#joinLine(thread, request);
    else this.#giveTo(thread, request);
    return true;
  }

  #giveSlow(): void {
    for (let request = this.#slow[0]; request; request = this.#slow[0]) {
      if (!request.isClosed && !this.#give(request)) return;
      this.#slow.shift();
    }
  }

  /** Where more than one request is handled by a thread at a time, its time is not that of one. */
  get #keepsTimes(): boolean {
    return this.#options.tasksPerThread === 1;
  }

  /** Of the threads that all cores need not, one is for requests that are not slow. Without a queue there are none behind it. */
  get #hasRoomForSlow(): boolean {
    const { cores, ahead } = this.#options;
    const { size } = this.#threads;
    let slow = 0;
    for (const thread of this.#threads.values()) if (thread.isSlow) slow++;
    return slow < (size > cores && ahead > 0 ? size - 1 : size);
  }

  #threadFor(request: HandedRequest): TaskThread | undefined {
    const { session } = request;
    if (session === undefined || !this.#sessions) return this.#choose(request);
    return this.#sessions.place(session, [...this.#threads.values()], () => {
      const chosen = this.#choose(request);
      request.beginsSession = chosen !== undefined;
      return chosen;
    });
  }

  #choose(request: HandedRequest): TaskThread | undefined {
    if (request.isSlow && !this.#hasRoomForSlow) return undefined;
    // What is sent of a body cannot be taken back; a slow request would hold up those behind it, and never begin if others
    // went ahead.
    const mayBeAhead = !request.hasBody && !request.isSlow && !(this.#slow.length > 0 && this.#hasRoomForSlow);
    return this.#free[0] ?? (mayBeAhead ? this.#leastAhead() : undefined);
  }

  #giveTo(thread: TaskThread, request: HandedRequest): void {
    const at = this.#free.indexOf(thread);
    if (at >= 0) this.#free.splice(at, 1);
    thread.give(request);
    if (at < 0) this.#watchWaiting();
    else if (thread.isFree) this.#free.push(thread);
  }

  /** The request waits for the thread of its session. */
  #joinLine(thread: TaskThread, request: HandedRequest): void {
    const { res } = request;
    if (!this.rejoining?.wait(res)) {
      this.#refuse(request, 'queue-full');
      return;
    }
    this.#lines.add(thread, request);
    request.wait(() => {
      this.#lines.remove(thread, request);
      this.rejoining?.goOn(res);
    });
    this.#watchWaiting();
  }

  #giveInLine(thread: TaskThread): void {
    for (let request = this.#lines.first(thread); request; request = this.#lines.first(thread)) {
      if (request.isClosed) request.leave();
      else if (canTake(thread, request)) this.#giveTo(thread, request);
      else return;
    }
  }

  #isDue({ since }: HandedRequest): boolean {
    return since < now() - this.#options.queueTimeout;
  }

  #refuse(request: HandedRequest, reason: 'queue-full' | 'queue-timeout'): void {
    request.leave();
    if (!request.isClosed) this.rejoining?.refuse(request.req, request.res, reason);
  }

  #giveWaiting(): void {
    for (let request = this.#waiting[0]; request; request = this.#waiting[0]) {
      if (!request.isClosed && !this.#give(request)) return;
      this.#waiting.shift();
    }
  }

  /** Requests that have waited for too long are refused, in threads that do not come to them as well. */
  #watchWaiting(): void {
    this.#watch ??= setInterval(() => {
      const threads = [...this.#threads.values()].filter((thread) => thread.hasAhead);
      const isEmpty = this.#waiting.length === 0 && this.#slow.length === 0 && this.#lines.isEmpty;
      if (threads.length === 0 && isEmpty) {
        clearInterval(this.#watch);
        this.#watch = undefined;
        return;
      }
      const before = now() - this.#options.queueTimeout;
      for (const thread of threads) {
        if (thread.ahead.some((request) => request.since < before)) this.#takeBackFrom(thread);
      }
      for (const waiting of [this.#waiting, this.#slow]) {
        for (const request of waiting.splice(0)) {
          if (request.since < before) this.#refuse(request, 'queue-timeout');
          else if (!request.isClosed) waiting.push(request);
        }
      }
      for (const request of this.#lines.since(before)) this.#refuse(request, 'queue-timeout');
      for (const thread of this.#lines.threads) this.#giveInLine(thread);
      this.#giveSlow();
      this.#giveWaiting();
    }, watchEveryMs);
  }

  #leastAhead(): TaskThread | undefined {
    let least: TaskThread | undefined;
    for (const thread of this.#threads.values()) {
      if (thread.hasRoom && !this.#lines.has(thread) && (!least || rank(thread) < rank(least))) least = thread;
    }
    return least;
  }

  #isOverdue(tid: number): void {
    if (this.#options.tasksPerThread === 1) this.#threads.get(tid)?.close();
    this.#options.onOverdue(tid);
  }
}

/** Requests of a thread, and a slow one counts more than any number of others. */
const rank = ({ size, isSlow }: TaskThread): number => (isSlow ? maxAhead + size : size);

/** What is sent of a body cannot be taken back. */
function canTake(thread: TaskThread, { hasBody }: HandedRequest): boolean {
  return hasBody ? thread.isFree : thread.hasRoom;
}
