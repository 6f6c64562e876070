// Watches the event loops of the threads of this process. If one is blocked, has its stack reported, and terminates that
// thread alone.
import { type InspectorNotification, Session } from 'node:inspector';
import type { WorkerReport } from '../reports/report.js';
import { watchLoop } from './detector.js';
import { isDebugged } from './heartbeat.js';
import { captureStack, type Target, type TargetEvent } from './stack-capture.js';

/** Attaching to a thread succeeds at once or never. */
const attachTimeoutMs = 1000;

export class ThreadWatch {
  readonly #hangMs: number;
  readonly #onNative: (threadId: number, ms: number) => void;
  /** By thread id: stops watching. */
  readonly #unwatch = new Map<number, () => void>();

  /**
   * @param hangMs milliseconds without a beat after which an event loop is blocked; 0 watches none
   * @param onNative called for a thread that is blocked in native code, which cannot report
   */
  constructor(hangMs: number, onNative: (threadId: number, ms: number) => void) {
    this.#hangMs = hangMs;
    this.#onNative = onNative;
  }

  /** @param dueBy when the next beat of the thread is due */
  watch(threadId: number, dueBy: () => number, terminate: () => void): void {
    if (this.#hangMs === 0) return;
    const onBlocked = (ms: number): void => {
      void reportStack(threadId, ms)
        .catch(() => false)
        .then((hasReported) => {
          if (!hasReported) this.#onNative(threadId, ms);
          terminate();
        });
    };
    this.#unwatch.set(threadId, watchLoop({ hangMs: this.#hangMs, dueBy, onBlocked }));
  }

  unwatch(threadId: number): void {
    this.#unwatch.get(threadId)?.();
    this.#unwatch.delete(threadId);
  }
}

/** Watches none while this process is debugged. */
export function watchThreads(hangMs: number, tell: (report: WorkerReport) => void): ThreadWatch {
  return new ThreadWatch(isDebugged(process.execArgv) ? 0 : hangMs, (tid, ms) =>
    tell({ kind: 'hung', tid, stillMs: ms, stack: [], requests: [] }),
  );
}

/** Through the inspector of this process, which has a session with each of its threads (domain NodeWorker). */
async function reportStack(threadId: number, blockedMs: number): Promise<boolean> {
  const session = new Session();
  session.connect();
  try {
    const target = await attach(session, threadId);
    return await captureStack(target, blockedMs);
  } finally {
    session.disconnect();
  }
}

function attach(session: Session, threadId: number): Promise<Target> {
  return new Promise((attached, failed) => {
    const timeout = setTimeout(() => failed(new Error(`no thread ${threadId} to attach to`)), attachTimeoutMs);
    session.on(
      'NodeWorker.attachedToWorker',
      ({ params }: InspectorNotification<{ sessionId: string; workerInfo: { title: string } }>) => {
        // Nothing but the title tells which thread the session is with.
        if (!params.workerInfo.title.startsWith(`[worker ${threadId}]`)) return;
        clearTimeout(timeout);
        attached(targetOf(session, params.sessionId));
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

function targetOf(session: Session, sessionId: string): Target {
  let lastId = 0;
  const pending = new Map<number, (message: Message) => void>();
  let onEvent = (_: TargetEvent): void => {};
  session.on(
    'NodeWorker.receivedMessageFromWorker',
    ({ params }: InspectorNotification<{ sessionId: string; message: string }>) => {
      if (params.sessionId !== sessionId) return;
      const message = JSON.parse(params.message) as Message;
      if (message.id === undefined) onEvent(message);
      else pending.get(message.id)?.(message);
    },
  );
  return {
    post: (method, params = {}) =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        pending.set(id, ({ error, result }) => (error ? reject(new Error(error.message)) : resolve(result)));
        const message = JSON.stringify({ id, method, params });
        session.post('NodeWorker.sendMessageToWorker', { sessionId, message }, (error) => error && reject(error));
      }),
    onEvent: (listener) => {
      onEvent = listener;
    },
  };
}
