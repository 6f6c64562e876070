// The text of `mpserve ctl stacks`: each event loop with its stack and its requests in flight.
import type { LoopStack, Unreadable } from '../hang/loop-stack.js';
import { escapeControls } from '../log/escape.js';
import type { RequestInFlight } from '../reports/report.js';
import type { WorkerStacks } from './protocol.js';

const reasons: Readonly<Record<Unreadable, string>> = {
  native: 'blocked in native code, which has no stack to show',
  stopped: 'stopped by SIGSTOP or a debugger',
  debugged: 'does not answer; its inspector is on, so connect a debugger to see its stack',
  signal: 'blocked; its stack is unknown, because the app handles SIGUSR1 itself',
  silent: 'does not answer',
};

export function stacksText(workers: readonly WorkerStacks[]): string {
  if (workers.length === 0) return 'no worker is running';
  return workers.flatMap((worker) => worker.loops.map((loop) => loopText(worker, loop))).join('\n');
}

function loopText({ worker, pid, stage }: WorkerStacks, { tid, stack, inFlight, oldest, ...loop }: LoopStack): string {
  const name = tid === 0 ? `worker ${worker}` : `worker ${worker}.${tid}`;
  const state = loop.unreadable ? reasons[loop.unreadable] : loop.state;
  const requests = oldest.map((request) => `  in flight: ${requestText(request)}`);
  if (inFlight > oldest.length) requests.push(`  in flight: ${inFlight - oldest.length} more`);
  const title = `${name} (pid ${pid}${stage === 'ready' ? '' : `, ${stage}`}): ${state}`;
  return [title, ...stack.map((frame) => `    at ${frame}`), ...requests]
    .map((line) => escapeControls(line))
    .join('\n');
}

function requestText({ method, url, ageMs, reqId }: RequestInFlight): string {
  const target = url.length > maxTarget ? `${url.slice(0, maxTarget)}…` : url;
  return `${method} ${target}, for ${(ageMs / 1000).toFixed(1)} s, request id ${reqId}`;
}

const maxTarget = 200;
