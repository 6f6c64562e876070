// Lines of one turn of the event loop gathered into one write(2), for a worker, which keeps its requests on record until
// then (`flight/recorder`), in case it is killed. It waits for a slow reader; what cannot be written (the reader is gone,
// the disk is full) waits here up to what fits, and is tried again by the clock, not by the lines.
import { writeSync } from 'node:fs';
import type { Destination } from './destination.js';
import { fitLine } from './line.js';

/** Between two attempts to write what could not be written (milliseconds). */
const retryEvery = 100;
/** A pipe that another process made non-blocking and that is full is tried again after so long (milliseconds). */
const again = 5;
const clock = new Int32Array(new SharedArrayBuffer(4));

/** Who is told that lines are being lost, once, and that they are written again; and each time that none waits. */
export interface LineListener {
  failed(reason: string): void;
  resumed(lost: number): void;
  /** All that there were are written. */
  written(): void;
}

export class LineBuffer {
  readonly #fd: number;
  readonly #bytes: Buffer;
  readonly #listener: LineListener;
  #used = 0;
  #lost = 0;
  #failing = false;
  #isDue = false;
  #retry: NodeJS.Timeout | undefined;

  constructor({ fd, whole }: Destination, listener: LineListener) {
    this.#fd = fd;
    this.#bytes = Buffer.allocUnsafeSlow(whole);
    this.#listener = listener;
    process.once('exit', () => this.flush());
  }

  /** Takes a line with its newline; one that is too long for the destination is shortened. */
  add(line: string): void {
    const text = fitLine(line, this.#bytes.length);
    if (!this.#fits(text) && !this.#failing) this.flush();
    if (!this.#fits(text)) return void this.#lost++;
    this.#used += this.#bytes.write(text, this.#used);
    if (this.#used * 2 >= this.#bytes.length && !this.#failing) this.flush();
    if (this.#isDue || this.#used === 0) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      if (!this.#failing) this.flush();
    });
  }

  /** Synchronous: what write(2) took is written once, and a process that exits loses and repeats nothing. */
  flush(): void {
    if (this.#used === 0) return;
    let written = 0;
    try {
      while (written < this.#used) written += this.#write(written);
    } catch (error) {
      if (!this.#failing) this.#listener.failed((error as Error).message);
      this.#failing = true;
      this.#retry ??= setInterval(() => this.flush(), retryEvery).unref();
    }
    this.#bytes.copyWithin(0, written, this.#used); // the rest of a line that a full disk has cut comes first later
    this.#used -= written;
    if (this.#used > 0) return;
    this.#listener.written();
    if (this.#failing) this.#resume();
  }

  #fits(text: string): boolean {
    const free = this.#bytes.length - this.#used;
    return text.length * 3 <= free || Buffer.byteLength(text) <= free;
  }

  #write(from: number): number {
    try {
      return writeSync(this.#fd, this.#bytes, from, this.#used - from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(clock, 0, 0, again);
      return 0;
    }
  }

  #resume(): void {
    const lost = this.#lost;
    this.#failing = false;
    clearInterval(this.#retry);
    this.#retry = undefined;
    this.#lost = 0;
    this.#listener.resumed(lost);
  }
}
