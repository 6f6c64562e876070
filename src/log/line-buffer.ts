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
import { LineBytes, textOf } from './line-bytes.js';

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

export class LineBuffer<Entry> {
  readonly #fd: number;
  readonly #lines: LineBytes;
  readonly #format: (entry: Entry, line: LineBytes) => void;
  readonly #listener: LineListener;
  #lost = 0;
  #failing = false;
  /** The beginning of the first line in the buffer is the last that could be written. */
  #isTorn = false;
  /** The process exits: this is the last chance to write. */
  #isLast = false;
  #isFlushScheduled = false;
  #retry: NodeJS.Timeout | undefined;

  /** @param format writes the line of an entry, with its newline */
  constructor(
    { fd, atomicBytes }: Destination,
    format: (entry: Entry, line: LineBytes) => void,
    listener: LineListener,
  ) {
    this.#fd = fd;
    this.#lines = new LineBytes(atomicBytes);
    this.#format = format;
    this.#listener = listener;
    process.once('exit', () => {
      this.#isLast = true;
      this.flush();
      if (!this.isEmpty) this.#listener.lost(this.unwritten - this.#lost);
    });
  }

  /** Buffers a line; one that is too long for the destination is shortened. */
  add(entry: Entry): void {
    let isAdded = this.#append(entry);
    if (!isAdded && !this.#failing) {
      this.flush();
      isAdded = this.#append(entry);
    }
    if (!isAdded) {
      this.#lost++;
      this.#listener.lost(1);
      return;
    }
    const { used, bytes } = this.#lines;
    if (used * 2 >= bytes.length && !this.#failing) this.flush();
    if (this.#isFlushScheduled || this.isEmpty) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      if (!this.#failing) this.flush();
    });
  }

  /** All lines are written. */
  get isEmpty(): boolean {
    return this.#lines.used === 0;
  }

  /** Lines that could not be written up to now, those that were dropped included. */
  get unwritten(): number {
    const { bytes, used } = this.#lines;
    return bytes.subarray(0, used).reduce((lines, byte) => lines + Number(byte === newline), this.#lost);
  }

  /** Synchronous, so that a process that exits neither loses nor repeats a line. */
  flush(): void {
    if (this.isEmpty) return;
    const lines = this.#lines;
    let written = 0;
    try {
      if (this.#failing) this.#endTornLine();
      while (written < lines.used) written += this.#write(written);
    } catch (error) {
      if (!this.#failing) this.#listener.failed((error as Error).message);
      this.#failing = true;
      this.#retry ??= setInterval(() => this.flush(), retryIntervalMs).unref();
      const wholeLines = written && lines.bytes.lastIndexOf(newline, written - 1) + 1;
      this.#isTorn ||= wholeLines < written;
      written = wholeLines;
    }
    lines.bytes.copyWithin(0, written, lines.used);
    lines.used -= written;
    if (!this.isEmpty) return;
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

  /** @returns false if there is no room for it */
  #append(entry: Entry): boolean {
    const lines = this.#lines;
    const from = lines.used;
    this.#format(entry, lines);
    if (lines.used <= lines.bytes.length) return true;
    const isTooLong = lines.used - from > lines.bytes.length;
    lines.used = from;
    if (!isTooLong) return false;
    lines.text(fitLine(textOf(this.#format, entry), lines.bytes.length));
    if (lines.used <= lines.bytes.length) return true;
    lines.used = from;
    return false;
  }

  #write(from: number): number {
    try {
      const { bytes, used } = this.#lines;
      return writeSync(this.#fd, bytes, from, used - from);
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
