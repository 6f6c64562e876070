// Watches the event loops of threads from the process that they are in: a blocked one is made to report its stack, and is
// ended alone.
import { type InspectorNotification, Session } from 'node:inspector';
import type { WorkerEvent } from '../events.js';
import { watchLoop } from './detector.js';
import { isDebugged } from './heartbeat.js';
import { captureStack, type Target, type TargetEvent } from './stack-capture.js';

/** A session with a thread is there at once, or never will be (milliseconds). */
const attachMs = 1000;

export class ThreadWatch {
  readonly #hangMs: number;
  readonly #onNative: (threadId: number, ms: number) => void;
  /** By the ids of the threads: what ends the watching. */
  readonly #watched = new Map<number, () => void>();

  /**
   * @param hangMs an event loop that has not turned for so long is blocked; 0 watches none
   * @param onNative called for a thread that could not report, as it is blocked in native code
   */
  constructor(hangMs: number, onNative: (threadId: number, ms: number) => void) {
    this.#hangMs = hangMs;
    this.#onNative = onNative;
  }

  /** @param dueBy when its next heartbeat is due. @param end ends the thread */
  watch(threadId: number, dueBy: () => number, end: () => void): void {
    if (this.#hangMs === 0) return;
    const onBlocked = (ms: number): void => {
      void reportStack(threadId, ms)
        .catch(() => false)
        .then((hasReported) => {
          if (!hasReported) this.#onNative(threadId, ms);
          end();
        });
    };
    this.#watched.set(threadId, watchLoop({ hangMs: this.#hangMs, dueBy, onBlocked }));
  }

  forget(threadId: number): void {
    this.#watched.get(threadId)?.();
    this.#watched.delete(threadId);
  }
}

/** A watch that tells of each blocked thread, unless this process is being debugged. */
export function watchThreads(hangMs: number, tell: (event: WorkerEvent) => void): ThreadWatch {
  return new ThreadWatch(isDebugged(process.execArgv) ? 0 : hangMs, (tid, stillMs) =>
    tell({ event: 'hung', tid, stillMs, stack: [], requests: [] }),
  );
}

/** Through the inspector of this process, which has a session with each of its threads (domain NodeWorker). */
async function reportStack(threadId: number, stillMs: number): Promise<boolean> {
  const session = new Session();
  session.connect();
  try {
    const target = await attach(session, threadId);
    return await captureStack(target, stillMs);
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
