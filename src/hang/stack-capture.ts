// Captures the stack of a blocked thread from the main thread of its process: an inspector session pauses the JavaScript,
// reads the stack, and calls a hook in the paused thread, which tells the stack with the requests in flight (decision 10).
import { EventEmitter, once } from 'node:events';
import { Session } from 'node:inspector';
import { within } from '../clock.js';
import { type BlockedLoop, frameText, hookName, maxFrames } from './hang-report.js';

/** `Debugger.CallFrame` of the Chrome DevTools Protocol; lines and columns count from 0. */
interface Frame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number };
}

/** Attaching to a thread succeeds at once or never. Code that has not paused by then is native. */
const answerTimeoutMs = 1000;
/** A paused thread answers, however busy the machine is: to give up earlier would report the same block again, as native. */
const pausedTimeoutMs = 10_000;

/**
 * Has the blocked thread tell its stack.
 * @param method what the thread is to do with it. @param number what `method` gets besides the stack
 * @returns false if the thread cannot be paused: it is blocked in native code
 */
export async function captureStack(threadId: number, method: keyof BlockedLoop, number: number): Promise<boolean> {
  const session = new Session();
  session.connect();
  const sessionIds: string[] = [];
  session.on('NodeWorker.attachedToWorker', ({ params }) => sessionIds.push(params.sessionId));
  try {
    const sessionId = await within(answerTimeoutMs, attach(session, threadId));
    return sessionId !== undefined && (await pauseAndTell(session, sessionId, method, number));
  } finally {
    // Node keeps what is not detached: code that is native now would pause for ever when it returns.
    session.post('NodeWorker.disable');
    for (const sessionId of sessionIds) session.post('NodeWorker.detach', { sessionId });
    session.disconnect();
  }
}

/** The session of this process has a session with each of its threads (domain NodeWorker). @returns its id */
function attach(session: Session, threadId: number): Promise<string> {
  return new Promise((attached, failed) => {
    session.on('NodeWorker.attachedToWorker', ({ params }) => {
      // Nothing but the title tells which thread the session is with.
      if (params.workerInfo.title.startsWith(`[worker ${threadId}]`)) attached(params.sessionId);
    });
    session.post('NodeWorker.enable', { waitForDebuggerOnStart: false }, (error) => error && failed(error));
  });
}

async function pauseAndTell(
  session: Session,
  sessionId: string,
  method: keyof BlockedLoop,
  number: number,
): Promise<boolean> {
  /** Emits the events of the thread by their names, and its replies by the ids of the commands. */
  const thread = new EventEmitter();
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    if (params.sessionId !== sessionId) return;
    const message = JSON.parse(params.message);
    thread.emit(message.method ?? String(message.id), message.params ?? message);
  });
  let lastId = 0;
  /** @returns whether the thread has carried the command out */
  const command = async (method: string, params = {}, timeoutMs = answerTimeoutMs): Promise<boolean> => {
    const id = ++lastId;
    const message = JSON.stringify({ id, method, params });
    session.post('NodeWorker.sendMessageToWorker', { sessionId, message });
    const [reply] = (await within(timeoutMs, once(thread, String(id)))) ?? [];
    return reply !== undefined && !reply.error;
  };
  // Frames name their script by its id.
  const urls = new Map<string, string>();
  thread.on('Debugger.scriptParsed', ({ scriptId, url }) => urls.set(scriptId, url));
  const paused = once(thread, 'Debugger.paused');
  void command('Debugger.enable');
  void command('Debugger.pause');
  const [pause] = (await within(answerTimeoutMs, paused)) ?? [];
  if (!pause) return false;
  const frames = (pause.callFrames as readonly Frame[]).slice(0, maxFrames).map(({ functionName, location }) => {
    const { scriptId, lineNumber, columnNumber = 0 } = location;
    return frameText(functionName, urls.get(scriptId) ?? '', lineNumber + 1, columnNumber + 1);
  });
  const call = `globalThis[Symbol.for('${hookName}')]?.${method}(${JSON.stringify(frames)}, ${Math.round(number)})`;
  const hasTold = await command('Runtime.evaluate', { expression: call }, pausedTimeoutMs);
  await command('Debugger.resume'); // a paused thread cannot be terminated
  return hasTold;
}
