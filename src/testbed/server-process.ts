// A process of mpserve, started as a user would start it. Its log must be JSON on stdout.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { within } from '../clock.js';
import { createLeash } from '../os/leash.js';

export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** Fields of the event `ready`. */
interface Ready {
  readonly url: string;
  readonly workers: number;
  readonly threads: number;
}

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));
const maxStderrChars = 2000;
/** How long a server that has exited may leave its output open, as processes of the app may hold it (milliseconds). */
const outputTimeoutMs = 3000;

export class ServerProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  /** The process has exited, and no other process holds its stdout and stderr. */
  readonly closed: Promise<void>;
  /** undefined if the process exits before it is ready; then `errorMessage` is complete. */
  readonly ready: Promise<Ready | undefined>;
  #stderrText = '';

  /** @param onLog gets each event of the log */
  constructor(args: readonly string[], onLog?: (line: LogLine) => void, env = process.env) {
    const leash = createLeash(); // kills the server if this process dies
    this.child = spawn(process.execPath, [bin, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', leash?.fd ?? 'ignore'],
      detached: true, // Ctrl-C must reach this process alone, which then stops the server
      env,
    });
    leash?.tie(this.child.pid);
    this.exited = new Promise((resolve) => this.child.once('exit', () => resolve()));
    this.closed = new Promise((resolve) => this.child.once('close', () => resolve()));
    void this.exited.then(() => leash?.release());
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderrText = `${this.#stderrText}${text}`.slice(-maxStderrChars);
    });
    this.ready = new Promise((resolve) => {
      // Reads to the end, so that the pipe never fills.
      createInterface({ input: this.child.stdout as Readable }).on('line', (text) => {
        const line = readLogLine(text);
        if (line?.event === 'ready') resolve(line as unknown as Ready);
        if (line) onLog?.(line);
      });
      void this.exited.then(() => within(outputTimeoutMs, this.closed)).then(() => resolve(undefined));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The last line of stderr, which says why the server did not start; empty if there is none. */
  get errorMessage(): string {
    const lastLine = this.#stderrText.trim().split('\n').at(-1) ?? '';
    return lastLine.replace(/^mpserve: /, '');
  }
}

/** @returns undefined if the line contains no event */
function readLogLine(text: string): LogLine | undefined {
  const start = text.indexOf('{"level":'); // the app may have printed something before it on the same line
  if (start < 0) return undefined;
  try {
    const line = JSON.parse(text.slice(start));
    return typeof line.event === 'string' ? line : undefined;
  } catch {
    return undefined;
  }
}
