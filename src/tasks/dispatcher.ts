// The app of a process that hands its requests to threads: to the one that has been free for longest. A request gets here
// when it has a place, so that it waits only where its thread has just died.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '../app/app.js';
import { now } from '../clock.js';
import type { Room } from '../overload/local-places.js';
import type { PipelineResponse } from '../pipeline/response.js';
import { HandedRequest } from './handed-request.js';
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
}

/** Between two looks for requests that have waited for too long (milliseconds). */
const watchEveryMs = 50;

export class Dispatcher implements App, Room, TaskThreadListener {
  readonly kind = 'listener';
  onRoom = (): void => {};
  readonly #options: DispatcherOptions;
  readonly #threads = new Map<number, TaskThread>();
  /** Those that have room, the one that has had it for longest first. */
  readonly #free: TaskThread[] = [];
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
    const request = new HandedRequest(++this.#handed, req, response, (tid) => this.#isOverdue(tid));
    request.whenReady(
      () => this.#free.length > Math.max(1, this.#threads.size / 2),
      () => this.#place(request),
    );
    return request.outcome;
  }

  hasRoom(taken: number): boolean {
    const { tasksPerThread, ahead } = this.#options;
    return taken + this.#lingering < this.#threads.size * (tasksPerThread + ahead);
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
    if (isFree) this.#free.push(thread);
    this.#giveSlow();
    this.#giveWaiting();
    this.onRoom();
    // What waits behind a slow request elsewhere would be begun here at once.
    if (isFree && thread.isFree) setImmediate(this.#level);
  }

  closed(thread: TaskThread, requests: readonly HandedRequest[]): void {
    this.#threads.delete(thread.tid);
    const at = this.#free.indexOf(thread);
    if (at >= 0) this.#free.splice(at, 1);
    this.#moveOn(requests);
  }

  took({ req: { method = '', url = '' } }: HandedRequest, ms: number): void {
    if (this.#keepsTimes) this.#times.took(method, url, ms);
  }

  lingering(change: 1 | -1): void {
    this.#lingering += change;
    if (change < 0) this.onRoom();
  }

  facts(facts: AppFacts): void {
    this.#facts = facts;
    this.#options.onFacts(facts);
  }

  /** Gives requests that have not begun to threads that are free. */
  readonly #level = (): void => {
    for (const thread of this.#threads.values()) {
      if (this.#free.length === 0) return;
      if (thread.hasAhead) this.#takeBackFrom(thread);
    }
  };

  #takeBackFrom(thread: TaskThread): void {
    const requests = thread.takeBack();
    // It had not begun the first one, either.
    if (thread.isFree && !this.#free.includes(thread)) this.#free.push(thread);
    this.#moveOn(requests);
  }

  /** Of a thread that has not begun them; they are older than those that wait here. */
  #moveOn(requests: readonly HandedRequest[]): void {
    const left: HandedRequest[] = [];
    for (const request of requests) {
      request.takenBack();
      if (!request.isClosed && !this.#give(request)) left.push(request);
    }
    this.#waiting.unshift(...left.filter(({ isSlow }) => !isSlow));
    this.#slow.unshift(...left.filter(({ isSlow }) => isSlow));
    if (left.length > 0) this.#watchWaiting();
  }

  #place(request: HandedRequest): void {
    const { method = '', url = '' } = request.req;
    request.isSlow = this.#keepsTimes && this.#times.isSlow(method, url);
    if (request.isSlow) {
      this.#slow.push(request);
      this.#giveSlow();
      if (this.#slow.length > 0) this.#watchWaiting();
      return;
    }
    // One that waits for a thread that is free would never have it if others went ahead.
    if (this.#waiting.length === 0 && this.#give(request)) return;
    this.#waiting.push(request);
    this.#watchWaiting();
  }

  /** @returns whether a thread could have it */
  #give(request: HandedRequest): boolean {
    if (request.isSlow && !this.#hasRoomForSlow) return false;
    const free = this.#free.shift();
    // What is sent of a body cannot be taken back; a slow request would hold up those behind it, and never begin if others
    // went ahead.
    const mayBeAhead = !request.hasBody && !request.isSlow && !(this.#slow.length > 0 && this.#hasRoomForSlow);
    const thread = free ?? (mayBeAhead ? this.#leastAhead() : undefined);
    if (!thread) return false;
    thread.give(request);
    if (free?.isFree) this.#free.push(free);
    if (!free) this.#watchWaiting();
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
      if (threads.length === 0 && this.#waiting.length === 0 && this.#slow.length === 0) {
        clearInterval(this.#watch);
        this.#watch = undefined;
        return;
      }
      const before = now() - this.#options.queueTimeout;
      for (const thread of threads) {
        if (thread.oldestAhead.some((request) => request.since < before)) this.#takeBackFrom(thread);
      }
      for (const waiting of [this.#waiting, this.#slow]) {
        for (const request of waiting.splice(0)) {
          if (request.since < before) request.refuse(this.#options.queueTimeout);
          else if (!request.isClosed) waiting.push(request);
        }
      }
      this.#giveSlow();
      this.#giveWaiting();
    }, watchEveryMs);
  }

  #leastAhead(): TaskThread | undefined {
    let least: TaskThread | undefined;
    for (const thread of this.#threads.values()) {
      if (thread.hasRoom && (!least || rank(thread) < rank(least))) least = thread;
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
