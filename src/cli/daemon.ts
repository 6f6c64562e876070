// `--daemon`: the server goes on in a process of its own, in a session of its own; the command ends when that is ready
// or has failed, with its exit code and its own words.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { reopen } from '../os/descriptor.js';

/** Set for the process that is to be the server. Not MPSERVE_…, which are options. */
const variable = '_MPSERVE_DAEMON_CHILD';

export const isDaemon = process.env[variable] !== undefined && process.send !== undefined;
delete process.env[variable]; // it is not for the app

/** Starts the same command once more, as a daemon. Resolves to the exit code. */
export async function startDaemon(): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [variable]: '1' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  child.stderr?.pipe(process.stderr, { end: false });
  // Whoever does not want to wait for it does not want it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  const ready = once(child, 'message').then(() => 0);
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : 1));
  const code = await Promise.race([ready, ended]);
  if (code === 0) {
    child.stderr?.destroy();
    if (child.connected) child.disconnect();
    child.unref();
  }
  return code;
}

/** As the daemon: it can serve, so the one who started it may go, and nobody hears it any more. */
export function announceDaemon(): void {
  reopen(2, '/dev/null');
  process.send?.('ready', () => process.connected && process.disconnect?.());
}
