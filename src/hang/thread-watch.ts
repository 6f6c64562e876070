// Watches the event loops of threads from the process that they are in: one that stands still is made to tell in what,
// and is ended alone.
import { type InspectorNotification, Session } from 'node:inspector';
import type { Tell } from '../worker/service.js';
import type { WorkerSettings } from '../worker/settings.js';
import { slot } from '../worker/thread-messages.js';
import { isDebugged } from './heartbeat.js';
import { watchLoop } from './observer.js';
import { interrogate, type Target, type TargetEvent } from './stack-capture.js';

/** A session with each thread is there at once, or never will be (milliseconds). */
const attachMs = 1000;

export class ThreadWatch {
  readonly #hangMs: number;
  readonly #onNative: (threadId: number, ms: number) => void;
  /** By the ids of the threads: what ends the watching. */
  readonly #watched = new Map<number, () => void>();

  /**
   * @param hangMs a thread that has not turned for so long is blocked; 0 watches none
   * @param onNative told of one that could not report
   */
  constructor(hangMs: number, onNative: (threadId: number, ms: number) => void) {
    this.#hangMs = hangMs;
    this.#onNative = onNative;
  }

  /** @param end ends the thread */
  watch(threadId: number, counters: Int32Array, end: () => void): void {
    if (this.#hangMs === 0) return;
    const onBlocked = (ms: number): void => {
      void questioned(threadId, ms)
        .catch(() => false)
        .then((hasTold) => {
          if (!hasTold) this.#onNative(threadId, ms);
          end();
        });
    };
    const dueBy = () => Atomics.load(counters, slot.dueBy);
    this.#watched.set(threadId, watchLoop({ hangMs: this.#hangMs, dueBy, onBlocked }));
  }

  forget(threadId: number): void {
    this.#watched.get(threadId)?.();
    this.#watched.delete(threadId);
  }
}

export function watchOf({ hangTimeout }: Pick<WorkerSettings, 'hangTimeout'>, tell: Tell): ThreadWatch {
  return new ThreadWatch(isDebugged(process.execArgv) ? 0 : hangTimeout, (tid, stillMs) =>
    tell({ event: 'hung', tid, stillMs, stack: [], requests: [] }),
  );
}

/** Through the inspector of this process, which has a session with each of its threads (domain NodeWorker). */
async function questioned(threadId: number, stillMs: number): Promise<boolean> {
  const session = new Session();
  session.connect();
  try {
    const target = await attach(session, threadId);
    return await interrogate(target, stillMs);
  } finally {
    session.disconnect();
  }
}

function attach(session: Session, threadId: number): Promise<Target> {
  return new Promise((attached, failed) => {
    const late = setTimeout(() => failed(new Error('there is no such thread')), attachMs);
    session.on(
      'NodeWorker.attachedToWorker',
      ({ params }: InspectorNotification<{ sessionId: string; workerInfo: { title: string } }>) => {
        // There is no other way to tell whose session it is.
        if (!params.workerInfo.title.startsWith(`[worker ${threadId}]`)) return;
        clearTimeout(late);
        attached(throughParent(session, params.sessionId));
      },
    );
    session.post('NodeWorker.enable', { waitForDebuggerOnStart: false }, (error) => error && failed(error));
  });
}

interface Message extends TargetEvent {
  readonly id?: number;
  readonly error?: { readonly message: string };
  readonly result?: unknown;
}

function throughParent(session: Session, sessionId: string): Target {
  let posted = 0;
  const answers = new Map<number, (message: Message) => void>();
  let onEvent = (_: TargetEvent): void => {};
  session.on(
    'NodeWorker.receivedMessageFromWorker',
    ({ params }: InspectorNotification<{ sessionId: string; message: string }>) => {
      if (params.sessionId !== sessionId) return;
      const message = JSON.parse(params.message) as Message;
      if (message.id === undefined) onEvent(message);
      else answers.get(message.id)?.(message);
    },
  );
  return {
    post: (method, params = {}) =>
      new Promise((resolve, reject) => {
        const id = ++posted;
        answers.set(id, ({ error, result }) => (error ? reject(new Error(error.message)) : resolve(result)));
        const message = JSON.stringify({ id, method, params });
        session.post('NodeWorker.sendMessageToWorker', { sessionId, message }, (error) => error && reject(error));
      }),
    onEvent: (listener) => {
      onEvent = listener;
    },
  };
}
