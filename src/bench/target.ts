// What is compared: something that can be started, serves on an address of its own, and can be ended. mpserve under
// one of its models is one; other servers may be, too.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from '../clock.js';
import { createLeash } from '../os/leash.js';

export interface Rival {
  readonly name: string;
  /** How it can be started by hand. */
  readonly command: string;
  /** Settles when it can serve. Rejects with an error of one line when it cannot; nothing is left running then. */
  start(): Promise<Running>;
}

export interface Running {
  readonly pid: number;
  /** `http://127.0.0.1:1234`. */
  readonly origin: string;
  /** Milliseconds from its start until it could serve. */
  readonly bootMs: number;
  readonly workers: number;
  readonly threads: number;
  /** Ends it and all its processes. Always settles soon. */
  stop(): Promise<void>;
}

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));

/** It drains for so long when it is stopped, and is killed so much later (milliseconds). */
const gracefulMs = 500;
const lastWord = 2000;

/** mpserve itself under `model`, with further `args` for `mpserve serve`. */
export function mpserve(model: string, args: readonly string[]): Rival {
  const own = ['--model', model, ...args];
  return { name: model, command: ['mpserve', ...own].join(' '), start: () => startMpserve(own) };
}

async function startMpserve(args: readonly string[]): Promise<Running> {
  const fixed = ['--bind', '127.0.0.1:0', '--log-format', 'json', '--log-level', 'info'];
  const began = performance.now();
  const leash = createLeash(); // if we are killed, it ends
  const child = spawn(process.execPath, [bin, ...args, ...fixed, '--graceful-timeout', `${gracefulMs}ms`], {
    stdio: ['ignore', 'pipe', 'pipe', leash?.fd ?? 'ignore'],
    detached: true, // Ctrl-C is for us, who end it in order
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
    await within(gracefulMs + lastWord, ended);
    child.kill('SIGKILL'); // its workers are on a leash and end with it
    await ended;
  };
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-2000);
  });
  const ready = await Promise.race([readyLine(child), ended]);
  if (ready) {
    const { url: origin, workers, threads } = ready;
    return { pid: child.pid as number, origin, workers, threads, bootMs: performance.now() - began, stop };
  }
  throw new Error(
    said
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^mpserve: /, '') || 'it ended before it was ready',
  );
}

interface Ready {
  readonly url: string;
  readonly workers: number;
  readonly threads: number;
}

/** Goes on to read what comes after it, so that the pipe never fills. */
function readyLine(child: ChildProcess): Promise<Ready> {
  return new Promise((resolve) => {
    child.stdout &&
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('"event":"ready"')) resolve(JSON.parse(line));
      });
  });
}
