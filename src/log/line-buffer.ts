// Buffers the access lines of one event-loop iteration and writes them with one write(2). Until then the worker keeps
// their requests in the in-flight journal, in case it is killed. Blocks while the reader is slow. If a write fails (the
// reader is gone, the disk is full), the lines stay in the buffer and a timer retries; lines that do not fit are
// counted and lost. A full disk can take the beginning of a line: the line is written again, whole, on a line of its own.
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { sleepSync } from '../clock.js';
import { tryLock } from '../os/descriptor.js';
import { SystemCallError } from '../os/libc.js';
import type { Destination } from './destination.js';
import { fitLine } from './line.js';

const retryIntervalMs = 100;
/** Wait before writing again to a full pipe, if another process has made the pipe non-blocking. */
const fullPipeWaitMs = 5;

const newline = 0x0a;

/** Called when writing fails (once for each outage), when it works again, and when the buffer is empty. */
export interface LineListener {
  failed(reason: string): void;
  /** @param lost number of lines that were dropped meanwhile */
  resumed(lost: number): void;
  /** All buffered lines are written. */
  written(): void;
  /** These are lost: there was no room for them, or the process exits. Called at once. */
  lost(count: number): void;
}

export class LineBuffer {
  readonly #fd: number;
  readonly #bytes: Buffer;
  readonly #listener: LineListener;
  #used = 0;
  #lost = 0;
  #failing = false;
  /** The beginning of the first line in the buffer is the last that could be written. */
  #isTorn = false;
  /** The process exits: this is the last chance to write. */
  #isLast = false;
  #isFlushScheduled = false;
  #retry: NodeJS.Timeout | undefined;

  constructor({ fd, atomicBytes }: Destination, listener: LineListener) {
    this.#fd = fd;
    this.#bytes = Buffer.allocUnsafeSlow(atomicBytes);
    this.#listener = listener;
    process.once('exit', () => {
      this.#isLast = true;
      this.flush();
      if (this.#used > 0) this.#listener.lost(this.unwritten - this.#lost);
    });
  }

  /** Buffers a line that ends with a newline; a line that is too long for the destination is shortened. */
  add(line: string): void {
    const text = fitLine(line, this.#bytes.length);
    if (!this.#fits(text) && !this.#failing) this.flush();
    if (!this.#fits(text)) {
      this.#lost++;
      this.#listener.lost(1);
      return;
    }
    this.#used += this.#bytes.write(text, this.#used);
    if (this.#used * 2 >= this.#bytes.length && !this.#failing) this.flush();
    if (this.#isFlushScheduled || this.#used === 0) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      if (!this.#failing) this.flush();
    });
  }

  /** All lines are written. */
  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** Lines that could not be written up to now, those that were dropped included. */
  get unwritten(): number {
    return this.#bytes.subarray(0, this.#used).reduce((lines, byte) => lines + Number(byte === newline), this.#lost);
  }

  /** Synchronous, so that a process that exits neither loses nor repeats a line. */
  flush(): void {
    if (this.#used === 0) return;
    let written = 0;
    try {
      if (this.#failing) this.#endTornLine();
      while (written < this.#used) written += this.#write(written);
    } catch (error) {
      if (!this.#failing) this.#listener.failed((error as Error).message);
      this.#failing = true;
      this.#retry ??= setInterval(() => this.flush(), retryIntervalMs).unref();
      const wholeLines = written && this.#bytes.lastIndexOf(newline, written - 1) + 1;
      this.#isTorn ||= wholeLines < written;
      written = wholeLines;
    }
    this.#bytes.copyWithin(0, written, this.#used);
    this.#used -= written;
    if (this.#used > 0) return;
    this.#listener.written();
    if (this.#failing) this.#resume();
  }

  /**
   * Of this worker, or of another one that writes to the same file; only one of them ends it.
   * @throws SystemCallError (EAGAIN) while another worker does
   */
  #endTornLine(): void {
    const file = openToRead(this.#fd);
    try {
      if (file !== undefined && !this.#isLast && !tryLock(file)) throw new SystemCallError('EAGAIN', 'flock');
      if (file === undefined ? this.#isTorn : isLineOpen(file)) writeSync(this.#fd, '\n');
      this.#isTorn = false;
    } finally {
      if (file !== undefined) closeSync(file); // and unlocks it
    }
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
      sleepSync(fullPipeWaitMs);
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

/** @returns another descriptor of the file, which is open for writing only; undefined for what is no file, or may not be read */
function openToRead(fd: number): number | undefined {
  try {
    return fstatSync(fd).isFile() ? openSync(`/dev/fd/${fd}`, 'r') : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the last line of a file has no end. */
function isLineOpen(file: number): boolean {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== newline;
}
