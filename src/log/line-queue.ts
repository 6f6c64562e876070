// Lines on their way to whoever reads the supervisor's log. It never waits for the reader, or a terminal that is held
// would hold the server, signals included: what is not taken waits in order, up to a bound, and is tried again.

import { writeSync } from 'node:fs';
import { now } from '../clock.js';
import { isWritable, unblocking } from '../os/descriptor.js';
import { wholeInPipe } from './line.js';

/** What may wait (bytes); a line that finds the queue full is dropped and counted. */
const most = 1_048_576;
/** Milliseconds between two attempts. */
const again = 20;
/** What the end of the process leaves to a slow reader (milliseconds). */
const lastAttempt = 200;

export class LineQueue {
  readonly #fd: number;
  readonly #onResumed: (lost: number) => void;
  readonly #lines: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  #retry: NodeJS.Timeout | undefined;

  /** @param onResumed hears how many lines were lost, once there is room for another one. */
  constructor(fd: number, onResumed: (lost: number) => void) {
    this.#fd = unblocking(fd);
    this.#onResumed = onResumed;
    process.once('exit', () => this.#drain(lastAttempt));
  }

  write(text: string): void {
    const line = Buffer.from(text);
    if (this.#bytes > 0 && this.#bytes + line.length > most) return void this.#lost++;
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#retry === undefined) this.#drain(0);
  }

  #drain(ms: number): void {
    this.#write(ms);
    this.#retry = this.#bytes > 0 ? setTimeout(() => this.#drain(0), again).unref() : undefined;
    if (this.#bytes > 0 || this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#onResumed(lost);
  }

  /** Writes what is taken, waiting for the reader up to `ms` milliseconds in all. */
  #write(ms: number): void {
    const deadline = now() + ms;
    for (let line = this.#lines[0]; line; line = this.#lines[0]) {
      if (!isWritable(this.#fd, Math.max(0, Math.ceil(deadline - now())))) return;
      let taken = 0;
      try {
        // A pipe with room takes so much at once, even one that could not be made non-blocking.
        taken = writeSync(this.#fd, line, 0, Math.min(line.length, wholeInPipe));
      } catch (error) {
        // EPIPE, ENOSPC: as with a reader that does not read, but waiting for it is of no use.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || now() >= deadline) return;
      }
      this.#bytes -= taken;
      if (taken < line.length) this.#lines[0] = line.subarray(taken);
      else this.#lines.shift();
    }
  }
}
