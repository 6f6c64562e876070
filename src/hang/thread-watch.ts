// Watches the event loops of the threads of this process. If one is blocked, has its stack reported, and terminates that
// thread alone.
import { url as inspectorUrl } from 'node:inspector';
import type { WorkerReport } from '../reports/report.js';
import { watchLoop } from './detector.js';
import { captureStack } from './stack-capture.js';

/** @param dueBy when the next beat of the thread is due; undefined while it may be blocked. @returns a function that stops watching */
export type WatchThread = (threadId: number, dueBy: () => number | undefined, terminate: () => void) => () => void;

/**
 * @param hangMs milliseconds without a beat after which an event loop is blocked; 0 watches none
 * @returns a function that watches a thread
 */
export function threadWatch(hangMs: number, tell: (report: WorkerReport) => void): WatchThread {
  if (hangMs === 0) return () => () => {};
  process.debugPort = 0; // a free one, when an operator starts the inspector
  // A debugger blocks an event loop at breakpoints, which is no hang. A session of our own opens no port.
  const isPaused = (): boolean => inspectorUrl() !== undefined;
  return (threadId, dueBy, terminate) => {
    const onBlocked = async (ms: number): Promise<void> => {
      const hasReported = await captureStack(threadId, 'report', ms).catch(() => false);
      if (!hasReported) tell({ kind: 'hung', tid: threadId, stillMs: ms, stack: [], requests: [] });
      terminate();
    };
    return watchLoop({ hangMs, dueBy, isPaused, onBlocked });
  };
}
