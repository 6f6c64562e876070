// In a worker: reports the stack of the blocked event loop, for which the code that blocks it has to be interrupted (decision
// 10). A thread is paused from outside, which calls a hook. A process gets SIGUSR1 from the supervisor: on that signal Node
// starts its inspector, for which it interrupts even an endless loop, and emits an event meant for cluster. The listener
// runs on top of the blocked code, so it captures that stack without an inspector session.
import { type HeartbeatFile, msSince } from './heartbeat.js';

/** Called while the event loop is blocked. @param stack the innermost frame first */
export type ReportHang = (stack: readonly string[], blockedMs: number) => void;

export const hookName = 'mpserve.hangReport';
export const maxFrames = 12;
const anonymous = '(anonymous)';
/** Signals, each of which may arrive between two callbacks, when no code of the app is on the stack. */
const maxAttempts = 5;

/** Installs the hook of this thread, which `captureStack` calls. */
export function onHangReport(report: ReportHang): void {
  Object.defineProperty(globalThis, Symbol.for(hookName), { value: report, configurable: true });
}

/** For a process, which kills itself after the report. */
export function reportWhenBlocked(heartbeat: HeartbeatFile, report: ReportHang): void {
  // A random port: Node's default is well known, and two workers could not both listen on it.
  process.debugPort = 0;
  let attempts = 0;
  const reportStack = (): void => {
    const stack = interruptedStack();
    const hasAppCode = stack.some((frame) => !frame.includes('(node:'));
    if (!hasAppCode && ++attempts < maxAttempts) {
      process.getBuiltinModule('node:inspector').close(); // so that the next signal starts it again
      return;
    }
    report(stack, Math.max(0, msSince(heartbeat.dueBy ?? 0)));
    process.kill(process.pid, 'SIGKILL'); // before a debugger can connect to the inspector
  };
  const onInternalMessage = (message: { readonly cmd?: unknown } | undefined): void => {
    if (message?.cmd !== 'NODE_DEBUG_ENABLED') return;
    if (heartbeat.isReportRequested) reportStack();
    else heartbeat.setDebugged(); // an operator has started the inspector
  };
  process.on('internalMessage' as 'message', onInternalMessage);
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
