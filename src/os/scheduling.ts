// How the kernel schedules workers. Under SCHED_BATCH a worker that wakes up does not preempt one that runs, so each worker
// handles more connections before it sleeps: less CPU per request if all cores are busy, no change if one is free (sched(7)).
import { libc } from './libc.js';

const policies = { other: 0, batch: 3 } as const;

/**
 * Applies to the process and to the threads that it starts later. A refusal of the system is ignored.
 * @param policy `other` is the default one
 */
export function schedule(pid: number, policy: keyof typeof policies): void {
  const priority = Buffer.alloc(4); // struct sched_param; these policies have no other priority than 0
  libc().sched_setscheduler?.(pid, policies[policy], priority);
}
