// Watches the event loops of the threads of this process. If one is blocked, has its stack reported, and terminates that
// thread alone.
import type { WorkerReport } from '../reports/report.js';
import { watchLoop } from './detector.js';
import { isDebugged } from './heartbeat.js';
import { captureStack } from './stack-capture.js';

/** @param dueBy when the next beat of the thread is due. @returns a function that stops watching */
export type WatchThread = (threadId: number, dueBy: () => number, terminate: () => void) => () => void;

/**
 * @param hangMs milliseconds without a beat after which an event loop is blocked; 0 watches none
 * @returns a function that watches a thread, or none while this process is debugged
 */
export function threadWatch(hangMs: number, tell: (report: WorkerReport) => void): WatchThread {
  if (hangMs === 0 || isDebugged(process.execArgv)) return () => () => {};
  return (threadId, dueBy, terminate) => {
    const onBlocked = async (ms: number): Promise<void> => {
      const hasReported = await captureStack(threadId, ms).catch(() => false);
      if (!hasReported) tell({ kind: 'hung', tid: threadId, stillMs: ms, stack: [], requests: [] });
      terminate();
    };
    return watchLoop({ hangMs, dueBy, onBlocked });
  };
}
