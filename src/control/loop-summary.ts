// What the event loops of a worker are doing together: one line for all its threads.
import { connectedLoops, type LoopView, loopStates } from '../scoreboard/loop-view.js';
import type { WorkerStatus } from './protocol.js';

/** As a `LoopView`, with the state that comes first in `loopStates`, the mean utilization, and the worst lag. */
export type LoopSummary = Pick<
  LoopView,
  'state' | 'connections' | 'inFlight' | 'utilization' | 'lagMs' | 'heapBytes' | 'last'
>;

/** @returns undefined without a loop */
export function summaryOf(loops: readonly LoopView[]): LoopSummary | undefined {
  if (loops.length === 0) return undefined;
  const sum = (of: (loop: LoopView) => number, all = loops): number => all.reduce((total, loop) => total + of(loop), 0);
  const lags = loops.flatMap(({ lagMs }) => lagMs ?? []);
  const lasts = loops.flatMap(({ last }) => last ?? []).sort((a, b) => a.endedMs - b.endedMs);
  return {
    state: loopStates.find((state) => loops.some((loop) => loop.state === state)) ?? 'idle',
    connections: sum(({ connections }) => connections),
    inFlight: sum(({ inFlight }) => inFlight, connectedLoops(loops)),
    utilization: sum(({ utilization }) => utilization) / loops.length,
    ...(lags.length > 0 && {
      lagMs: { p50: Math.max(...lags.map(({ p50 }) => p50)), p99: Math.max(...lags.map(({ p99 }) => p99)) },
    }),
    heapBytes: sum(({ heapBytes }) => heapBytes),
    ...(lasts[0] && { last: lasts[0] }),
  };
}

/** Those that have a line of their own: a process with one event loop, its own, is that already. */
export function threadsOf({ loops }: WorkerStatus): readonly LoopView[] {
  return loops.length === 1 && loops[0]?.tid === 0 ? [] : loops;
}
