// In the supervisor: watches the event loop of a worker process. If it is blocked, requests a hang report, for which it
// waits a second, and kills the worker.
import { now } from '../clock.js';
import { isStopped } from '../os/process-tree.js';
import { watchLoop } from './detector.js';
import type { HeartbeatFile } from './heartbeat.js';

/** A worker that has not reported by then is blocked in native code, or handles SIGUSR1 itself. */
const reportTimeoutMs = 1000;
const signalIntervalMs = 100;

export type ProcessWatch = ReturnType<typeof watchProcess>;

/**
 * @param mayBlock whether it may be blocked now. @param kill ends the worker; called once it has had the time to report
 */
export function watchProcess(
  pid: number,
  heartbeat: HeartbeatFile,
  hangMs: number,
  mayBlock: () => boolean,
  kill: () => void,
) {
  let blockedMs: number | undefined;
  let signals: NodeJS.Timeout | undefined;
  const signal = (): void => {
    try {
      process.kill(pid, 'SIGUSR1');
    } catch {} // the worker has exited, which its exit event reports
  };
  const unwatch = watchLoop({
    hangMs,
    dueBy: () => (mayBlock() ? undefined : heartbeat.dueBy),
    isPaused: () => isStopped(pid), // by an operator, or a debugger such as gdb
    onBlocked: (ms) => {
      blockedMs = Math.round(ms);
      heartbeat.requestReport();
      signal();
      const requestedAt = now();
      signals = setInterval(() => {
        if (now() - requestedAt < reportTimeoutMs) return signal();
        end();
        kill();
      }, signalIntervalMs);
    },
  });
  /** Call it when the worker has exited. */
  const end = (): void => {
    unwatch();
    clearInterval(signals);
  };
  return {
    /** Milliseconds that the event loop was blocked when this was found; undefined if it never was. */
    get blockedMs(): number | undefined {
      return blockedMs;
    },
    end,
  };
}
