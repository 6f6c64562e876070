// Tells whether what the app began while loading (a connection to a database, a timer) is still under way, so
// that "it will never listen" is known in a moment instead of at the deadline. Counts; touches nothing.

const POLL_MS = 100;
/** One quiet poll may fall between a finished read and the next. */
const QUIET_POLLS = 2;
/** A server that listens is not on its way to anything. */
const AT_REST = new Set(['TCPServerWrap', 'PipeServerWrap']);

export interface QuietWatch {
  /** Resolves when nothing has been pending at two polls in a row. Never rejects. */
  readonly quiet: Promise<void>;
  stop(): void;
}

/** @param before `process.getActiveResourcesInfo()` from before the app was loaded: those were ours. */
export function watchForQuiet(before: readonly string[]): QuietWatch {
  let timer: NodeJS.Timeout;
  let quietPolls = 0;
  const quiet = new Promise<void>((resolve) => {
    const poll = (): void => {
      timer.unref(); // it would count itself
      quietPolls = isPending(before) ? 0 : quietPolls + 1;
      if (quietPolls === QUIET_POLLS) resolve();
      else timer = setTimeout(poll, POLL_MS); // not unref'd: it may be all that keeps the process alive
    };
    timer = setTimeout(poll, POLL_MS);
  });
  return { quiet, stop: () => clearTimeout(timer) };
}

function isPending(before: readonly string[]): boolean {
  const ours = [...before];
  return activeResources().some((resource) => {
    if (AT_REST.has(resource)) return false;
    const index = ours.indexOf(resource);
    if (index === -1) return true;
    ours.splice(index, 1);
    return false;
  });
}

/** Without the app's standard output, which counts as a pipe from the first `console.log` on. */
function activeResources(): string[] {
  const outputs = [process.stdout, process.stderr] as { ref?(): void; unref?(): void }[];
  for (const output of outputs) output.unref?.();
  const resources = process.getActiveResourcesInfo();
  for (const output of outputs) output.ref?.();
  return resources;
}
