// Has a process tell in which code its event loop is blocked, when its supervisor asks it with SIGUSR1. Node answers that
// signal by starting its inspector, also in the middle of an endless loop, as it interrupts the JavaScript that runs; and
// it tells JavaScript of it at once, in an event for cluster (decision 10). The function that hears of it stands on top of
// the code that is blocked, so its own stack is the one to report, and no session with the inspector is needed.
import { type HeartbeatFile, msSince } from './heartbeat.js';

/** Named in a report (frames). */
const longestStack = 12;
/** Between two callbacks there is none of the app's code on the stack: it is asked again, so often in all. */
const tries = 5;

/** @param report called while the event loop is blocked, with for how long it has been; the process ends afterwards */
export function reportWhenBlocked(
  heartbeat: HeartbeatFile,
  report: (stack: readonly string[], blockedMs: number) => void,
): void {
  // Of any number: that of Node's default would be known to others, and taken where two workers are asked.
  process.debugPort = 0;
  let tried = 0;
  const answer = (): void => {
    const stack = stackHere();
    const isTelling = stack.some((frame) => !frame.includes('(node:'));
    if (!isTelling && ++tried < tries) {
      process.getBuiltinModule('node:inspector').close(); // or it would not hear the next signal
      return;
    }
    report(stack, Math.max(0, msSince(heartbeat.dueBy ?? 0)));
    process.kill(process.pid, 'SIGKILL'); // before anybody could have connected to the inspector
  };
  const hear = (message: { readonly cmd?: unknown } | undefined): void => {
    if (message?.cmd !== 'NODE_DEBUG_ENABLED') return;
    if (heartbeat.isAsked) answer();
    else heartbeat.setDebugged(); // an operator has started the inspector
  };
  process.on('internalMessage' as 'message', hear);
}

/** Of the code that was interrupted, the innermost frame first: `render (/srv/app/views.js:12:7)`. */
function stackHere(): readonly string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const here: { stack?: readonly string[] } = {};
  try {
    Error.stackTraceLimit = longestStack;
    Error.prepareStackTrace = (_, sites) => sites.map(written);
    Error.captureStackTrace(here, process.emit); // without what is above
    return here.stack ?? [];
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  }
}

function written(site: NodeJS.CallSite): string {
  const url = site.getFileName() ?? undefined;
  const name = site.getFunctionName() || '(anonymous)';
  if (url === undefined) return `${name} (native)`;
  const file = url.startsWith('file://') ? decodeURI(url.slice('file://'.length)) : url;
  return `${name} (${file}:${site.getLineNumber()}:${site.getColumnNumber()})`;
}
