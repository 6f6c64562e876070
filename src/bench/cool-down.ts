// Waits until a server is at rest. All rivals are up at the same time, and one that still works off what its last
// client has left (processes for connections that are gone) would slow down the next one that is measured.
import { cpuSeconds, hasProc, processTree } from '../os/process-tree.js';

/** Between two looks, and how often nothing may be seen before it counts (milliseconds). */
const lookEvery = 100;
const looks = 2;
/** Doing so little is rest: a tenth of a processor. */
const share = 0.1;
/** Who is not at rest by then never is; or there is nothing to see it by (milliseconds). */
const patience = 60_000;
const blindly = 1000;

/** Settles when the processes under `pid` do next to nothing, or it has waited for a minute. */
export async function atRest(pid: number, signal: AbortSignal): Promise<void> {
  if (!hasProc) return pause(blindly);
  const deadline = performance.now() + patience;
  for (let quiet = 0; quiet < looks && performance.now() < deadline && !signal.aborted; ) {
    const [before, began] = [cpuSeconds(pid), performance.now()];
    await pause(lookEvery);
    const used = cpuSeconds(pid) - before;
    // Who computes on a busy machine may have got next to nothing of it.
    const isQuiet =
      used * 1000 <= share * (performance.now() - began) && !processTree(pid).some(({ isRunning }) => isRunning);
    quiet = isQuiet ? quiet + 1 : 0;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((over) => setTimeout(over, ms));
}
