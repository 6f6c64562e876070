// In a worker process: reports the stack of the blocked event loop when the supervisor sends SIGUSR1. On that signal Node
// starts its inspector, for which it interrupts even an endless loop, and emits an event meant for cluster (decision 10).
// The listener runs on top of the blocked code, so it captures that stack without an inspector session.
import { type HeartbeatFile, msSince } from './heartbeat.js';

const maxFrames = 12;
/** Signals, each of which may arrive between two callbacks, when no code of the app is on the stack. */
const maxAttempts = 5;

/** @param report called while the event loop is blocked; afterwards this process kills itself */
export function reportWhenBlocked(
  heartbeat: HeartbeatFile,
  report: (stack: readonly string[], blockedMs: number) => void,
): void {
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

/** The innermost frame first: `render (/srv/app/views.js:12:7)`. */
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
  const name = site.getFunctionName() || '(anonymous)';
  if (url === undefined) return `${name} (native)`;
  const file = url.startsWith('file://') ? decodeURI(url.slice('file://'.length)) : url;
  return `${name} (${file}:${site.getLineNumber()}:${site.getColumnNumber()})`;
}
