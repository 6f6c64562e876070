// Measures the load of this event loop in the unit that the pool is scaled by (--scale-on).
import type { BusyClock } from '../pipeline/busy.js';
import { type Measure, maxLagMs } from './scaler.js';

/** @returns the load since the last call, from 0 to 1 */
export type LoadMeter = () => number;

export function loadMeter(measure: Measure, clock: BusyClock): LoadMeter {
  if (measure === 'busy') return () => clock.takeFraction();
  // Loaded on use: a worker for one connection would pay for it on every connection.
  const hooks = process.getBuiltinModule('node:perf_hooks');
  return measure === 'elu' ? utilization(hooks) : lag(hooks);
}

type Hooks = typeof import('node:perf_hooks');

function utilization({ performance }: Hooks): LoadMeter {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/** The 90th percentile of the event-loop delay, less the interval of its sampling timer. */
function lag({ monitorEventLoopDelay }: Hooks): LoadMeter {
  const resolutionMs = 10;
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  return () => {
    // No sample since the last call: the delay has not ended yet.
    const lagMs = delays.count > 0 ? delays.percentile(90) / 1e6 - resolutionMs : maxLagMs;
    delays.reset();
    return Math.min(1, Math.max(0, lagMs) / maxLagMs);
  };
}
