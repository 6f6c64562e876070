// `mpserve top`: a running server in the terminal, over its control socket.
import type { ReadStream, WriteStream } from 'node:tty';
import { now } from '../clock.js';
import { topTable } from '../config/top-options.js';
import { Unreachable } from '../control/client.js';
import { configError } from '../errors.js';
import { Screen } from '../top/screen.js';
import { type Snapshot, takeSnapshot } from '../top/snapshot.js';
import { Top } from '../top/top.js';
import type { Call } from './call.js';
import { readOptions } from './command-options.js';
import { locate, unreachable } from './unreachable.js';

/** Exit codes as of a process that these signals have ended. */
const signals = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 } as const;

/** @throws StartupError without a terminal or a server */
export async function runTop(call: Call): Promise<number> {
  const { interval: intervalMs } = await readOptions(call, topTable);
  if (!process.stdin.isTTY || !process.stdout.isTTY || process.env.TERM === 'dumb')
    throw configError('mpserve top needs a terminal; use mpserve ctl status and mpserve ctl workers instead');
  const [socketPath, source] = await locate(call, 'mpserve top');
  let first: Snapshot;
  try {
    first = await takeSnapshot(socketPath, now);
  } catch (error) {
    throw error instanceof Unreachable ? unreachable(error, 'mpserve top', socketPath, source) : error;
  }
  const screen = new Screen(process.stdin as ReadStream, process.stdout as WriteStream);
  for (const [signal, code] of Object.entries(signals)) process.once(signal, () => process.exit(code));
  await new Top({ socketPath, intervalMs, screen, first }).run();
  // Not when the look in progress is done, for which a server that does not answer takes seconds.
  process.exit(0);
}
