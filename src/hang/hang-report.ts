// In a worker: tells the stack of the blocked event loop, for which the code that blocks it has to be interrupted (decision
// 10), as a hang report, or as the answer to a question of an operator. A thread is paused from outside, which calls a hook.
// A process gets SIGUSR1 from the supervisor: on that signal Node starts its inspector, for which it interrupts even an
// endless loop, and emits an event meant for cluster. The listener runs on top of the blocked code, so it captures that stack
// without an inspector session.
import { type HeartbeatFile, msSince } from './heartbeat.js';

/** Called while the event loop is blocked. Stacks have the innermost frame first. */
export interface BlockedLoop {
  report(stack: readonly string[], blockedMs: number): void;
  /** @param stack empty if no code of the app was running. @param question the number of the question */
  answer(stack: readonly string[], question: number): void;
}

export const hookName = 'mpserve.blockedLoop';
export const maxFrames = 12;
const anonymous = '(anonymous)';
/** Signals, each of which may arrive between two callbacks, when no code of the app is on the stack. */
const maxAttempts = 5;
/** Node handles a signal more than once, at the latest this long after the event loop turns again (milliseconds). */
const echoMs = 200;

/** Installs the hook of this thread, which `captureStack` calls. */
export function onBlockedThread(loop: BlockedLoop): void {
  Object.defineProperty(globalThis, Symbol.for(hookName), { value: loop, configurable: true });
}

/** For a process, which kills itself after a hang report, and goes on after an answer. */
export function onBlockedProcess(heartbeat: HeartbeatFile, loop: BlockedLoop): void {
  // A random port: Node's default is well known, and two workers could not both listen on it.
  process.debugPort = 0;
  let attempts = 0;
  const reportStack = (): void => {
    const stack = interruptedStack();
    if (!stack.some(isOfApp) && ++attempts < maxAttempts) {
      closeInspector(); // so that the next signal starts it again
      return;
    }
    loop.report(stack, Math.max(0, msSince(heartbeat.dueBy ?? 0)));
    process.kill(process.pid, 'SIGKILL'); // before a debugger can connect to the inspector
  };

  let answered = 0;
  /** The signal of the last question may still start the inspector again. Code of the app was running at the first time. */
  let echo: { readonly hadCode: boolean } | undefined;
  /** @returns false if the signal is not that of a question */
  const answerQuestion = (): boolean => {
    const stack = interruptedStack();
    const hasCode = stack.some(isOfApp);
    const { question } = heartbeat;
    if (question !== answered) {
      answered = question;
      const mine = { hadCode: hasCode };
      echo = mine;
      loop.answer(hasCode ? stack : [], question);
      const forget = (): void => {
        if (echo === mine) echo = undefined;
      };
      // The immediate comes after the event loop has polled, and so after what the signal has left there.
      setTimeout(() => setImmediate(forget), echoMs).unref();
    } else if (!echo || (echo.hadCode && hasCode)) return false; // code is interrupted once for each signal
    closeInspector();
    return true;
  };

  const onInternalMessage = (message: { readonly cmd?: unknown } | undefined): void => {
    if (message?.cmd !== 'NODE_DEBUG_ENABLED') return;
    if (heartbeat.isReportRequested) reportStack();
    else if (!answerQuestion()) heartbeat.setDebugged(); // an operator has started the inspector
  };
  process.on('internalMessage' as 'message', onInternalMessage);
  process.on('newListener', (name) => {
    if (name === 'SIGUSR1') heartbeat.setSignalHandled();
  });
}

function closeInspector(): void {
  process.getBuiltinModule('node:inspector').close();
}

function isOfApp(frame: string): boolean {
  return !frame.includes('(node:');
}

function interruptedStack(): readonly string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: readonly string[] } = {};
  try {
    Error.stackTraceLimit = maxFrames;
    Error.prepareStackTrace = (_, sites) => sites.map(formatFrame);
    Error.captureStackTrace(holder, process.emit); // without our own frames
    return holder.stack ?? [];
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  }
}

function formatFrame(site: NodeJS.CallSite): string {
  const url = site.getFileName() ?? undefined;
  const name = site.getFunctionName() ?? '';
  if (url === undefined) return `${name || anonymous} (native)`;
  return frameText(name, url, site.getLineNumber(), site.getColumnNumber());
}

/** `render (/srv/app/views.js:12:7)`, as in the stack of an error. */
export function frameText(name: string, url: string, line: number | null, column: number | null): string {
  const file = url.startsWith('file://') ? decodeURI(url.slice('file://'.length)) : url;
  return `${name || anonymous} (${file}:${line}:${column})`;
}
