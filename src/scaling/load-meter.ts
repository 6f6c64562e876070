// How loaded this event loop is, by the measure that the pool is sized by.
import type { BusyClock } from '../pipeline/busy.js';
import { longestLag, type Measure } from './scaler.js';

// Loaded when it is needed: a child that serves one connection would pay for it on every connection.
const hooks = () => process.getBuiltinModule('node:perf_hooks');

/** @returns the load since it was last asked, from 0 to 1 */
export type LoadMeter = () => number;

export function loadMeter(measure: Measure, clock: BusyClock): LoadMeter {
  const meters: { readonly [M in Measure]: () => LoadMeter } = {
    busy: () => () => clock.share(),
    elu: utilisation,
    lag: lateness,
  };
  return meters[measure]();
}

function utilisation(): LoadMeter {
  const { performance } = hooks();
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/** The delay that a tenth of the turns exceed, beyond the resolution of the clock that it is taken with. */
function lateness(): LoadMeter {
  const resolution = 10;
  const delays = hooks().monitorEventLoopDelay({ resolution });
  delays.enable();
  return () => {
    // Without a single turn since the last look, there is no delay to be read, as none has ended.
    const late = delays.count > 0 ? delays.percentile(90) / 1e6 - resolution : longestLag;
    delays.reset();
    return Math.min(1, Math.max(0, late) / longestLag);
  };
}
