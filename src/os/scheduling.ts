// How the kernel schedules workers. Under SCHED_BATCH a worker that wakes up does not interrupt another one that is
// running, so each handles more connections before it sleeps: less CPU for a request when cores are busy. While a
// core is free nothing changes (sched(7)).
import { libc } from './libc.js';

const SCHED_OTHER = 0;
const SCHED_BATCH = 3;

/** Applies to the process and to all threads that it will start. Where the system refuses, nothing changes. */
export function scheduleAsBatch(pid: number): void {
  schedule(pid, SCHED_BATCH);
}

/** As any other process again. */
export function scheduleAsOther(pid: number): void {
  schedule(pid, SCHED_OTHER);
}

function schedule(pid: number, policy: number): void {
  const priority = Buffer.alloc(4); // struct sched_param; 0 is the only one that these policies have
  libc().sched_setscheduler?.(pid, policy, priority);
}
