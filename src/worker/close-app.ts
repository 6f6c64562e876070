// How a worker takes leave of the app: as a plain Node process would when it is told to end.
import type { App } from '../app/app.js';
import { watchForQuiet } from '../app/pending.js';
import { within } from '../clock.js';

/** The worker's own listener for SIGTERM and SIGINT: the supervisor alone decides when a worker ends. */
export const deaf = (): void => {};

/** An app that handles SIGTERM may take this long until nothing of it is left to do (milliseconds). */
const longest = 5000;

/** `told`: the server ends, or this worker is not wanted any more. `done`: it has served what it was made for. */
export type Leave = 'told' | 'done';

/**
 * Closes the app; if it was told to end and handles SIGTERM itself, hands it that signal and waits until it has
 * ended the process or has nothing left to do. Settles at the latest when `deadline` aborts.
 * @param before `process.getActiveResourcesInfo()` from before the app was loaded
 */
export async function farewell(
  app: App | undefined,
  leave: Leave,
  before: string[],
  deadline: AbortSignal,
): Promise<void> {
  const late = new Promise<void>((resolve) => {
    if (deadline.aborted) resolve();
    else deadline.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([app?.close?.(), late]);
  } catch {} // it is ending anyway, and what it could not close ends with it
  const handlers = process.listeners('SIGTERM').filter((handler) => handler !== deaf);
  if (leave === 'done' || handlers.length === 0) return;
  for (const handler of handlers) handler.call(process, 'SIGTERM');
  const watch = watchForQuiet(before);
  await within(longest, Promise.race([watch.quiet, late]));
  watch.stop();
}
