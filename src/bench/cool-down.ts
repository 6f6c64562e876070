// Waits until a target is idle after a measurement. All targets run at the same time, so a target that is still busy with
// leftover work (such as processes for closed connections) would slow down the next one.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, hasProc, processTree } from '../os/process-tree.js';

const sampleIntervalMs = 100;
/** Consecutive idle samples until a target counts as idle. */
const idleSamples = 2;
/** The CPU usage up to which a sample is idle, as a share of one processor. */
const maxIdleCpuShare = 0.1;
/** The longest wait for a target that never becomes idle. */
const timeoutMs = 60_000;
/** The fixed wait where there is no /proc. */
const waitWithoutProcMs = 1000;

/** Resolves when the process tree of `pid` is idle, after a minute, or when `signal` is aborted. */
export async function coolDown(pid: number, signal: AbortSignal): Promise<void> {
  if (!hasProc) return sleep(waitWithoutProcMs);
  const deadline = performance.now() + timeoutMs;
  for (let idle = 0; idle < idleSamples && performance.now() < deadline && !signal.aborted; ) {
    const [before, began] = [cpuSeconds(pid), performance.now()];
    await sleep(sampleIntervalMs);
    const used = cpuSeconds(pid) - before;
    // On a busy machine a runnable process may get hardly any CPU time, so the process states count as well.
    const isIdle =
      used * 1000 <= maxIdleCpuShare * (performance.now() - began) &&
      !processTree(pid).some(({ isRunning }) => isRunning);
    idle = isIdle ? idle + 1 : 0;
  }
}
