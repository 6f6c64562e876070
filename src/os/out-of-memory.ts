// What the kernel does when memory runs out: which processes it should kill first, and whether it has killed one. Linux only;
// elsewhere nothing happens.
import { writeFileSync } from 'node:fs';
import { oomKills } from './cgroup.js';
import { readText } from './files.js';

/** Thousandths of the memory of the machine, or container, that the kernel adds to the memory of a worker to compare processes. */
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

/** How many kills of the kernel have explained the end of a process. */
export class MemoryKills {
  #explained = oomKills();

  /** @returns whether the kernel has killed one more process of this container, which may be the one that has just ended */
  takeOne(): boolean {
    if (oomKills() <= this.#explained) return false;
    this.#explained++; // several can be killed at the same time
    return true;
  }
}
