// --watch: reloads the server when a file has changed.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Loaded } from '../config/load.js';
import { setting } from '../config/source.js';
import { Refused } from '../control/refused.js';
import type { Events } from '../events.js';

/** How often a reload is tried again while another action is in progress (milliseconds). */
const retryEveryMs = 100;

/**
 * @param reload rejects with `Refused` while another action is in progress; any other failure it has reported itself
 * @param signal ends the watch
 * @throws StartupError if a path does not exist
 */
export async function reloadOnChange(
  { config, sources }: Loaded,
  reload: (reason: string) => Promise<unknown>,
  events: Events,
  signal: AbortSignal,
): Promise<void> {
  const { listening, logging, server } = config;
  const sockets = listening.bind.map((address) => (address.kind === 'unix' ? address.path : undefined));
  const { Watcher } = await import('./watcher.js');
  new Watcher({
    paths: server.watch,
    source: setting(sources.watch),
    ownFiles: [logging.logFile, logging.accessLog, server.pidFile, server.control, ...sockets].flatMap(
      (file) => file ?? [],
    ),
    signal,
    onChange: (file) => untilAccepted(() => reload(`${path.relative(process.cwd(), file)} changed`), signal),
    onFailure: (warning) => events.tell({ event: 'warning', warning }),
  }).start();
}

/** Never rejects. */
async function untilAccepted(reload: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await reload();
      return;
    } catch (error) {
      if (!(error instanceof Refused)) return;
      await sleep(retryEveryMs, undefined, { signal }).catch(() => {});
    }
  }
}
