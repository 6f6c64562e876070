// A target of a comparison: a server that `bench` starts, loads and stops. mpserve under one of its models is a target;
// other servers can be targets, too.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from '../clock.js';
import { createLeash } from '../os/leash.js';

export interface Target {
  readonly name: string;
  /** The command line that starts the target by hand. */
  readonly command: string;
  /** Resolves when the target is ready. Rejects with a one-line error if it fails to start; no process is left then. */
  start(): Promise<RunningTarget>;
}

export interface RunningTarget {
  readonly pid: number;
  /** `http://127.0.0.1:1234`. */
  readonly origin: string;
  /** Milliseconds from spawn to ready. */
  readonly bootMs: number;
  readonly workers: number;
  readonly threads: number;
  /** Stops all processes of the target, by SIGKILL if need be. Settles within a few seconds. */
  stop(): Promise<void>;
}

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));

/** The target's `--graceful-timeout` (milliseconds). */
const gracefulTimeoutMs = 500;
/** From the end of the graceful timeout to SIGKILL (milliseconds). */
const killDelayMs = 2000;

/** mpserve under `model`; `args` are further arguments of `mpserve serve`. */
export function mpserve(model: string, args: readonly string[]): Target {
  const own = ['--model', model, ...args];
  return { name: model, command: ['mpserve', ...own].join(' '), start: () => startMpserve(own) };
}

async function startMpserve(args: readonly string[]): Promise<RunningTarget> {
  const fixed = ['--bind', '127.0.0.1:0', '--log-format', 'json', '--log-level', 'info'];
  const began = performance.now();
  const leash = createLeash(); // the target exits if this process is killed
  const child = spawn(process.execPath, [bin, ...args, ...fixed, '--graceful-timeout', `${gracefulTimeoutMs}ms`], {
    stdio: ['ignore', 'pipe', 'pipe', leash?.fd ?? 'ignore'],
    detached: true, // Ctrl-C goes to this process only, which stops the target gracefully
  });
  leash?.tie(child.pid);
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      leash?.release();
      resolve();
    }),
  );
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await within(gracefulTimeoutMs + killDelayMs, ended);
    child.kill('SIGKILL'); // its workers are on a leash and exit, too
    await ended;
  };
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = `${stderr}${text}`.slice(-2000);
  });
  const ready = await Promise.race([readyLine(child), ended]);
  if (ready) {
    const { url: origin, workers, threads } = ready;
    return { pid: child.pid as number, origin, workers, threads, bootMs: performance.now() - began, stop };
  }
  throw new Error(
    stderr
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^mpserve: /, '') || 'the server exited before it was ready',
  );
}

interface Ready {
  readonly url: string;
  readonly workers: number;
  readonly threads: number;
}

/** Keeps reading stdout after the ready event, so that the pipe never fills. */
function readyLine(child: ChildProcess): Promise<Ready> {
  return new Promise((resolve) => {
    child.stdout &&
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('"event":"ready"')) resolve(JSON.parse(line));
      });
  });
}
