// `--daemon`: runs the server as a child in a session of its own. The command prints where the server is and exits when
// it is ready, or passes on the server's error message and exit code.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { escapeControls } from '../log/escape.js';
import { reopen } from '../os/descriptor.js';

/** The message of a daemon that is ready. */
export interface DaemonFacts {
  readonly urls: readonly string[];
  /** Paths; relative ones to the directory of the command. */
  readonly control: string | undefined;
  readonly logFile: string | undefined;
}

/** Set in the environment of the daemon. Not named MPSERVE_…, because those variables are options. */
const daemonVariable = '_MPSERVE_DAEMON_CHILD';

export const isDaemon = process.env[daemonVariable] !== undefined && process.send !== undefined;
delete process.env[daemonVariable]; // the app must not inherit it

/** Starts the same command again as a daemon. Resolves to the exit code. */
export async function startDaemon(): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [daemonVariable]: '1' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  child.stderr?.pipe(process.stderr, { end: false });
  // Ctrl-C or SIGTERM while the command waits also ends the daemon.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  const ready = once(child, 'message').then(([facts]) => {
    console.log(describe(child.pid, facts));
    return 0;
  });
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : 1));
  const code = await Promise.race([ready, ended]);
  if (code === 0) {
    child.stderr?.destroy();
    if (child.connected) child.disconnect();
    child.unref();
  }
  return code;
}

function describe(pid: number | undefined, { urls, control, logFile }: DaemonFacts): string {
  const log = logFile === undefined ? 'none' : path.resolve(logFile);
  const socket = control === undefined ? 'none; mpserve ctl needs --control or --pid-file' : path.resolve(control);
  return escapeControls(`pid      ${pid}\nurl      ${urls.join(' ')}\ncontrol  ${socket}\nlog      ${log}`, '\n');
}

/** Called in the daemon when it is ready: the waiting command exits, and nothing reads the daemon's stderr any more. */
export function announceDaemon(facts: DaemonFacts): void {
  reopen(2, '/dev/null');
  process.send?.(facts, () => process.connected && process.disconnect?.());
}
