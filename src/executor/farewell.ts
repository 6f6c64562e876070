// How a worker takes leave of the app: as a plain Node process would when it is told to end.
import type { App } from '../app/app.js';

/** The worker's own listener for SIGTERM and SIGINT: the supervisor alone decides when a worker ends. */
export const deaf = (): void => {};

/**
 * Closes the app; if it handles SIGTERM itself, hands it that signal and waits for it to end the process.
 * Settles when the app is closed or `deadline` aborts.
 */
export async function farewell(app: App | undefined, deadline: AbortSignal): Promise<void> {
  const tooLate = new Promise<void>((late) => {
    if (deadline.aborted) late();
    else deadline.addEventListener('abort', () => late(), { once: true });
  });
  try {
    await Promise.race([app?.close?.(), tooLate]);
  } catch {} // it is ending anyway, and what it could not close ends with it
  const handlers = process.listeners('SIGTERM').filter((handler) => handler !== deaf);
  if (handlers.length === 0) return;
  for (const handler of handlers) handler.call(process, 'SIGTERM');
  await tooLate;
}
