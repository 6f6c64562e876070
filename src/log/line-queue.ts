// Queues the lines of the supervisor's log and writes them without blocking: a reader that has stopped, such as a
// paused terminal, must not block the supervisor. Lines wait in order, up to a limit, and a timer retries.

import { writeSync } from 'node:fs';
import { now } from '../clock.js';
import { isWritable, nonBlocking } from '../os/descriptor.js';
import { pipeAtomicBytes } from './line.js';

/** A line that does not fit into the queue is dropped and counted. */
const maxQueuedBytes = 1_048_576;
const retryDelayMs = 20;
/** How long an exiting process waits for a reader that reads nothing. */
const exitTimeoutMs = 200;

/** @param json a line of the log. @returns the line to write */
export type LineFormat = (json: string) => string;

export class LineQueue {
  readonly #fd: number;
  readonly #format: LineFormat;
  readonly #onResumed: (lost: number) => void;
  readonly #lines: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  #retry: NodeJS.Timeout | undefined;

  /** @param onResumed called with the number of dropped lines, when the queue is empty again */
  constructor(fd: number, format: LineFormat, onResumed: (lost: number) => void) {
    this.#fd = nonBlocking(fd);
    this.#format = format;
    this.#onResumed = onResumed;
    process.once('exit', () => this.#drain(exitTimeoutMs));
  }

  /** @param json ends with a newline */
  write(json: string): void {
    const line = Buffer.from(this.#format(json));
    if (this.#bytes > 0 && this.#bytes + line.length > maxQueuedBytes) return void this.#lost++;
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#retry === undefined) this.#drain(0);
  }

  #drain(timeoutMs: number): void {
    this.#write(timeoutMs);
    this.#retry = this.#bytes > 0 ? setTimeout(() => this.#drain(0), retryDelayMs).unref() : undefined;
    if (this.#bytes > 0 || this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#onResumed(lost);
  }

  /** Writes until the queue is empty or the reader is not ready; waits up to `timeoutMs` for it to read, each time again. */
  #write(timeoutMs: number): void {
    let deadline = now() + timeoutMs;
    for (let line = this.#lines[0]; line; line = this.#lines[0]) {
      if (!isWritable(this.#fd, Math.max(0, Math.ceil(deadline - now())))) return;
      let written = 0;
      try {
        // A writable pipe accepts this many bytes without blocking, even if it could not be made non-blocking.
        written = writeSync(this.#fd, line, 0, Math.min(line.length, pipeAtomicBytes));
      } catch (error) {
        // EPIPE, ENOSPC: keep the lines, as for a slow reader, but do not wait.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || now() >= deadline) return;
      }
      if (written > 0) deadline = now() + timeoutMs;
      this.#bytes -= written;
      if (written < line.length) this.#lines[0] = line.subarray(written);
      else this.#lines.shift();
    }
  }
}
