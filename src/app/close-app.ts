// Closes the app before its worker exits: as a plain Node process would when it is told to end.
import { constants } from 'node:os';
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
  const close = async (): Promise<void> => {
    try {
      await Promise.race([app?.close?.(), deadline]);
    } catch {} // the worker exits anyway, and what the app could not close ends with it
  };
  // The handlers of an app that listens close its server, as in a plain process: a second `close()` would be an error.
  if (!app?.server?.listening) await close();
  const isHandled = stopReason === 'told' && callHandlers(sendsShutdown);
  const limit = Promise.race([deadline, after(maxSigtermMs)]);
  if (isHandled) await untilQuiet(before, limit);
  if (!app?.server?.listening) return;
  await close();
  if (isHandled) await untilQuiet(before, limit);
}

/** @returns whether the app has any */
function callHandlers(sendsShutdown: boolean): boolean {
  // The raw ones, because `once` listeners need their wrappers; read first, because the message may remove some.
  const handlers = process.rawListeners('SIGTERM').filter((handler) => handler !== ignoreSignal);
  const hears = sendsShutdown && sendShutdown();
  for (const handler of handlers) handler.call(process, 'SIGTERM', constants.signals.SIGTERM);
  return hears || handlers.length > 0;
}

/** Settles with `limit` at the latest. */
async function untilQuiet(before: readonly string[], limit: Promise<void>): Promise<void> {
  const watch = watchForQuiet(before);
  await Promise.race([watch.quiet, limit]);
  watch.stop();
}

/** Its timer is no pending work. */
function after(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
