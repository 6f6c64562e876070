// Closes the app before its worker exits: as a plain Node process would when it is told to end.
import type { App } from './app.js';
import { watchForQuiet } from './pending.js';
import { sendShutdown } from './pm2.js';

/** The worker's own listener for SIGTERM and SIGINT: only the supervisor decides when a worker ends. */
export const ignoreSignal = (): void => {};

/** An app that handles SIGTERM may take this long until it has nothing left to do (milliseconds). */
const maxSigtermMs = 5000;

/** `told`: the server ends, or the worker is replaced. `done`: the worker has served the one connection that it is for. */
export type StopReason = 'told' | 'done';

/**
 * Closes the app; if the worker was told to end and the app handles SIGTERM, calls its handlers and waits until the app
 * has ended the process or has nothing left to do. Settles at the latest after `ms` milliseconds.
 * @param before `process.getActiveResourcesInfo()` from before the app was loaded
 * @param sendsShutdown the message 'shutdown' is sent, too
 */
export async function closeApp(
  app: App | undefined,
  stopReason: StopReason,
  before: readonly string[],
  ms: number,
  sendsShutdown: boolean,
): Promise<void> {
  const deadline = after(ms);
  try {
    await Promise.race([app?.close?.(), deadline]);
  } catch {} // the worker exits anyway, and what the app could not close ends with it
  const handlers = process.listeners('SIGTERM').filter((handler) => handler !== ignoreSignal);
  if (stopReason === 'done') return;
  const hears = sendsShutdown && sendShutdown();
  for (const handler of handlers) handler.call(process, 'SIGTERM');
  if (!hears && handlers.length === 0) return;
  const watch = watchForQuiet(before);
  await Promise.race([watch.quiet, deadline, after(maxSigtermMs)]);
  watch.stop();
}

/** Its timer is no pending work. */
function after(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
