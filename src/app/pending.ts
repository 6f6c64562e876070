// Tells whether work that the app has started (a connection to a database, a timer) is still pending. While loading,
// this shows within moments that an app will never listen, before the deadline. Only observes.

const POLL_MS = 100;
/** One poll without pending work is not enough: it may fall between one read and the next. */
const QUIET_POLLS = 2;
/** Resources that are not pending work: servers that listen. */
const LISTENING = new Set(['TCPServerWrap', 'PipeServerWrap']);

/**
 * @param before `process.getActiveResourcesInfo()` from before the app was loaded: mpserve's own resources
 * @returns a promise `quiet` that resolves when two consecutive polls have found no pending work, and never rejects
 */
export function watchForQuiet(before: readonly string[]) {
  let timer: NodeJS.Timeout;
  let quietPolls = 0;
  const quiet = new Promise<void>((resolve) => {
    const poll = (): void => {
      timer.unref(); // or the poll would count its own timer
      quietPolls = isPending(before) ? 0 : quietPolls + 1;
      if (quietPolls === QUIET_POLLS) resolve();
      else timer = setTimeout(poll, POLL_MS); // not unref'd: it may be the only thing that keeps the process alive
    };
    timer = setTimeout(poll, POLL_MS);
  });
  return { quiet, stop: (): void => clearTimeout(timer) };
}

function isPending(before: readonly string[]): boolean {
  const ours = [...before];
  return activeResources().some((resource) => {
    if (LISTENING.has(resource)) return false;
    const index = ours.indexOf(resource);
    if (index === -1) return true;
    ours.splice(index, 1);
    return false;
  });
}

/** Ignores standard output and error, which count as pipes after the first `console.log`. */
function activeResources(): string[] {
  const outputs = [process.stdout, process.stderr] as { ref?(): void; unref?(): void }[];
  for (const output of outputs) output.unref?.();
  const resources = process.getActiveResourcesInfo();
  for (const output of outputs) output.ref?.();
  return resources;
}
