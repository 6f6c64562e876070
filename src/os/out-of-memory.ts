// What the kernel does when memory runs out: whom it should kill first, and whether it has killed. Linux only; elsewhere
// nothing happens.
import { writeFileSync } from 'node:fs';
import { oomKills } from './cgroup.js';
import { readText } from './files.js';

/** Out of 1000, the memory of the machine or container: so much more than it has does a worker count for the kernel. */
const workerAdjustment = 200;
const maxAdjustment = 1000;

/**
 * The kernel kills the process that counts most. A worker is replaced; with the supervisor all of them end. Raising a value
 * needs no privilege (proc_pid_oom_score_adj(5)). A refusal of the system is ignored.
 */
export function preferToKill(pid: number): void {
  const own = readText('/proc/self/oom_score_adj');
  if (own === '') return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(maxAdjustment, Number(own) + workerAdjustment)));
  } catch {} // it has exited, or it belongs to a user whose processes this one may not change
}

/** The kills that processes have been told apart by. */
export class MemoryKills {
  #told = oomKills();

  /** @returns whether the kernel has killed one more process of this container, which may be the one that has just ended */
  takeOne(): boolean {
    if (oomKills() <= this.#told) return false;
    this.#told++; // several can be killed at the same time
    return true;
  }
}
