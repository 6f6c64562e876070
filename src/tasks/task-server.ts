// The requests in a thread: begins tasks as the process sends them, and tells it what only the app knows.
import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import type { WorkerEvent } from '../events.js';
import { serverSettings } from '../pipeline/app-server.js';
import type { Handler, OnClose, Stage } from '../pipeline/stage.js';
import type { RequestInFlight } from '../reports/report.js';
import { Blocks } from './blocks.js';
import { Outbox } from './outbox.js';
import { type RequestClass, Task, type TaskHost } from './task.js';
import { type TaskResponse, taskResponseClass } from './task-response.js';
import {
  type AppFacts,
  type Bytes,
  type Claims,
  forEachEntry,
  fromThread,
  type OnEntry,
  type TaskPort,
  toThread,
} from './wire.js';

export interface TaskServerOptions {
  readonly app: App;
  readonly port: TaskPort;
  readonly claims: Claims;
  /** Tasks at the same time. */
  readonly limit: number;
  /** The first one is the outermost. */
  readonly stages: readonly Stage[];
  readonly onHead: TaskResponse['onHead'];
  readonly onClose: readonly OnClose[];
  readonly addsSignal: boolean;
  readonly activity: Activity;
  readonly tell: (event: WorkerEvent) => void;
}

/** A task that has not begun. */
interface Ahead {
  readonly id: number;
  readonly flags: number;
  readonly text: string;
  bytes: Bytes | undefined;
  /** What has come after it. */
  readonly more: (() => void)[];
  isAborted: boolean;
}

export class TaskServer {
  /** Requests answered, and those whose clients have gone. */
  answered = 0;
  readonly #options: TaskServerOptions;
  readonly #outbox: Outbox;
  readonly #host: TaskHost;
  readonly #tasks = new Map<number, Task>();
  readonly #ahead: Ahead[] = [];
  /** Tasks that have come so far, begun or not. */
  #begun = 0;
  /** Tasks that have begun and are not done. */
  #running = 0;
  #isBeginning = false;
  #onLast = (): void => {};
  #onIdle = (): void => {};

  constructor(options: TaskServerOptions) {
    const { app, port, stages, onHead, tell } = options;
    const outbox = new Outbox(port);
    this.#options = options;
    this.#outbox = outbox;
    this.#host = {
      outbox,
      blocks: new Blocks(),
      Request: (classOf(app.server, 'IncomingMessage') ?? IncomingMessage) as RequestClass,
      Response: taskResponseClass((classOf(app.server, 'ServerResponse') ?? ServerResponse) as typeof ServerResponse),
      handle: stages.reduceRight((next, stage) => stage(next), handlerOf(app)),
      onHead,
      addsSignal: options.addsSignal && !('signal' in IncomingMessage.prototype),
      done: () => {
        this.#running--;
        // After the events of the response, which Node emits in the next tick.
        if (this.#ahead.length > 0) process.nextTick(this.#begin);
      },
      over: (task) => this.#over(task),
      failed: (event, { reqId, method, url }, err) => tell({ event, reqId, method, url, err }),
    };
    port.onMessage((entries) => forEachEntry(entries, this.#receive));
    this.#tellFacts();
  }

  /** The oldest first. */
  get inFlight(): readonly RequestInFlight[] {
    return this.tasks.map(({ inFlight }) => inFlight);
  }

  get tasks(): readonly Task[] {
    return [...this.#tasks.values()];
  }

  /** Settles when it has no task, and gets none any more. */
  async drain(): Promise<void> {
    const last = new Promise<void>((resolve) => {
      this.#onLast = resolve;
    });
    this.#outbox.add(fromThread.draining, 0);
    await last;
    if (this.#tasks.size === 0 && this.#ahead.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  readonly #receive: OnEntry = (kind, id, number, text, bytes) => {
    if (kind === toThread.begin) {
      this.#ahead.push({ id, flags: number, text, bytes, more: [], isAborted: false });
      this.#begin();
      return;
    }
    if (kind === toThread.last) return this.#onLast();
    const task = this.#tasks.get(id);
    if (task) this.#continue(task, kind, number, text, bytes);
    else this.#keep(id, kind, number, text, bytes);
  };

  #continue(task: Task, kind: number, number: number, text: string, bytes: Bytes | undefined): void {
    if (kind === toThread.body) task.body(bytes ?? '');
    else if (kind === toThread.bodyEnd) task.bodyEnd(text);
    else if (kind === toThread.abort) task.abort(text);
    else if (kind === toThread.credit) task.credit(number, typeof bytes === 'object' ? bytes.buffer : undefined);
  }

  /** For a task that has not begun. */
  #keep(id: number, kind: number, number: number, text: string, bytes: Bytes | undefined): void {
    const ahead = this.#ahead.find((one) => one.id === id);
    if (!ahead) return;
    if (kind === toThread.abort) ahead.isAborted = true;
    ahead.more.push(() => {
      const task = this.#tasks.get(id);
      if (task) this.#continue(task, kind, number, text, bytes);
    });
  }

  /** Begins the tasks for which there is room, unless the process has taken them back. */
  readonly #begin = (): void => {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    while (this.#running < this.#options.limit) {
      const ahead = this.#ahead.shift();
      if (!ahead) break;
      const index = this.#begun++;
      if (!this.#options.claims.take(index, index + 1)) continue;
      if (ahead.isAborted) this.#outbox.add(fromThread.done, ahead.id);
      else this.#run(ahead);
    }
    this.#isBeginning = false;
    if (this.#tasks.size === 0 && this.#ahead.length === 0) this.#onIdle();
  };

  #run({ id, flags, text, bytes, more }: Ahead): void {
    const task = new Task(this.#host, id, flags, text);
    this.#tasks.set(id, task);
    this.#running++;
    this.#options.activity.connectionOpened();
    task.run(flags, bytes);
    for (const one of more) one();
  }

  #over(task: Task): void {
    if (!this.#tasks.delete(task.id)) return;
    this.answered++;
    this.#options.activity.connectionClosed();
    for (const onClose of this.#options.onClose) onClose(task.res);
    if (this.#tasks.size === 0 && this.#ahead.length === 0) this.#onIdle();
  }

  #tellFacts(): void {
    const { server } = this.#options.app;
    const tell = (): void => {
      const hears = (name: string): boolean => server !== undefined && server.listenerCount(name) > 0;
      const facts: AppFacts = {
        upgrades: hears('upgrade') || hears('connect'),
        continues: hears('checkContinue'),
        server: server ? serverSettings(server) : { limits: {}, properties: {} },
      };
      this.#outbox.add(fromThread.facts, 0, 0, JSON.stringify(facts));
    };
    tell();
    // When the listener has been added.
    server?.on('newListener', (name) => {
      if (['upgrade', 'connect', 'checkContinue'].includes(String(name))) queueMicrotask(tell);
    });
  }
}

/** An app that tells clients itself to send their bodies has another listener for these requests. */
function handlerOf(app: App): Handler {
  const { server } = app;
  return (req, res) => {
    const { _expect_continue: isExpected } = res as TaskResponse & { readonly _expect_continue?: boolean };
    if (!isExpected || !server || server.listenerCount('checkContinue') === 0) return app.handle(req, res);
    const listeners = server.rawListeners('checkContinue');
    return Promise.all(listeners.map((listener) => listener.call(server, req, res)));
  };
}

/** An option of `createServer()`, which Node keeps under a symbol. */
function classOf(server: Server | undefined, name: string): unknown {
  const symbol = server && Object.getOwnPropertySymbols(server).find(({ description }) => description === name);
  return symbol && (server as unknown as Record<symbol, unknown>)[symbol];
}
