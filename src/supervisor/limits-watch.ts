// Looks whether the processors and memory that this server may use have changed while it runs, as those of a container can,
// and has the number of workers follow where it is `auto`. No event tells it: the files of cgroups(7) have to be read again.
import { isDeepStrictEqual } from 'node:util';
import { now } from '../clock.js';
import { isElastic } from '../config/config.js';
import type { Machine } from '../config/constraints.js';
import { Refused } from '../control/refused.js';
import type { Events } from '../events.js';
import { availableResources } from '../os/cgroup.js';
import type { Settings } from './changes.js';

/** Seldom, as an idle server should sleep; a container is resized by people, or by an autoscaler once in minutes. */
const lookEveryMs = 5000;
/** After new workers could not be started (milliseconds). */
const retryMs = 60_000;

export interface LimitsWatchOptions {
  readonly settings: () => Settings;
  /** @throws Refused while another action is in progress */
  readonly follow: (machine: Machine, reason: string) => Promise<unknown>;
  readonly events: Events;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  readonly look?: () => Machine;
}

/** From now on, until the signal. */
export function watchLimits({ settings, follow, events, signal, look = availableResources }: LimitsWatchOptions): void {
  let known = look();
  let isFollowing = false;
  let followFrom = 0;
  const check = async (): Promise<void> => {
    const machine = look();
    if (!isDeepStrictEqual(machine, known)) {
      const { needsReload } = difference(settings(), machine);
      const from = { fromCores: known.cores, ...(Number.isFinite(known.memory) && { fromMemory: known.memory }) };
      const to = { cores: machine.cores, ...(Number.isFinite(machine.memory) && { memory: machine.memory }) };
      events.tell({ event: 'limits-changed', ...from, ...to, needsReload });
      known = machine;
    }
    if (isFollowing || now() < followFrom || !difference(settings(), machine).workersFollow) return;
    isFollowing = true;
    try {
      await follow(machine, 'the limits of the container have changed');
    } catch (error) {
      // Refused: another action is in progress, and the next look follows. Otherwise it has been reported.
      if (!(error instanceof Refused)) followFrom = now() + retryMs;
    } finally {
      isFollowing = false;
    }
  };
  const timer = setInterval(() => void check(), lookEveryMs).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

/** What another start on this machine would have otherwise. Wrong settings for it are reported by the next reload. */
function difference({ config, sizesOn, routes }: Settings, machine: Machine) {
  try {
    const sizes = sizesOn(machine);
    const { workers, minWorkers, maxWorkers, threads, minThreads, maxThreads } = config.pool;
    const hasOtherWorkers = !isDeepStrictEqual(
      [sizes.workers, sizes.minWorkers, sizes.maxWorkers],
      [workers, minWorkers, maxWorkers],
    );
    const hasOtherThreads = !isDeepStrictEqual(
      [sizes.threads, sizes.minThreads, sizes.maxThreads],
      [threads, minThreads, maxThreads],
    );
    // Workers measure their load, by which a pool scales, or they do not.
    const isOtherKind = isElastic({ ...config.pool, ...sizes }) !== isElastic(config.pool);
    const hasOtherRoute = routes.some((route) => {
      const { workersFollow, needsReload } = difference({ ...route, env: {}, routes: [] }, machine);
      return workersFollow || needsReload;
    });
    return {
      workersFollow: hasOtherWorkers && !isOtherKind,
      needsReload: hasOtherThreads || hasOtherRoute || (hasOtherWorkers && isOtherKind),
    };
  } catch {
    return { workersFollow: false, needsReload: false };
  }
}
