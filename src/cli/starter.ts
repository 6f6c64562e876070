// The process that started this server and waits until it is ready: the command with --daemon, which then exits, or a
// program that called `serve`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { type NotStarted, type Started, type Starter, starterVariable } from '../control/starter.js';
import { escapeControls } from '../log/escape.js';
import { reopen } from '../os/descriptor.js';

/** undefined in a server that was started by hand. */
export const starter = process.send && (process.env[starterVariable] as Starter | undefined);
delete process.env[starterVariable]; // the app must not inherit it

/**
 * Starts the same command again as a daemon: a child in a session of its own. The command exits when the server is ready,
 * and prints where it is, or passes on the server's error message and exit code. Resolves to the exit code.
 */
export async function startDaemon(): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [starterVariable]: 'command' satisfies Starter },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  child.stderr?.pipe(process.stderr, { end: false });
  // Ctrl-C or SIGTERM while the command waits also ends the daemon.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  const ready = once(child, 'message').then(([started]) => {
    console.log(describe(child.pid, started));
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

function describe(pid: number | undefined, { urls, control, logFile }: Started): string {
  const log = logFile === undefined ? 'none' : path.resolve(logFile);
  const socket = control === undefined ? 'none; mpserve ctl needs --control or --pid-file' : path.resolve(control);
  return escapeControls(`pid      ${pid}\nurl      ${urls.join(' ')}\ncontrol  ${socket}\nlog      ${log}`, '\n');
}

/** Called in the server when it is ready. */
export function announce(started: Started): void {
  if (starter === 'program') {
    process.send?.(started, () => {}); // an error means that the program has exited
    return;
  }
  reopen(2, '/dev/null'); // the waiting command exits, and nothing reads the daemon's stderr any more
  process.send?.(started, () => process.connected && process.disconnect?.());
}

/** Called in the server. @param stop called when the program that started it has exited */
export function followProgram(stop: () => void): void {
  if (starter !== 'program') return;
  if (process.connected) process.once('disconnect', stop);
  else stop(); // it has exited while the configuration was read
  process.channel?.unref(); // the server may exit before the program
}

/** Called in a server that cannot start. @returns whether a program has been told, so that nothing must be printed */
export function announceFailure(failure: NotStarted): Promise<boolean> {
  return new Promise((resolve) => {
    if (starter !== 'program' || !process.connected) resolve(false);
    else process.send?.(failure, (error: Error | null) => resolve(error === null));
  });
}
