// Writes to a descriptor, all of it and now: nothing is lost or repeated when the process ends.
import { writeSync } from 'node:fs';

/** A pipe whose reader is slow is tried again after so long (milliseconds). */
const again = 5;
const clock = new Int32Array(new SharedArrayBuffer(4));

export function writeWhole(fd: number, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      // EPIPE, ENOSPC: a server goes on without its log rather than not at all.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(clock, 0, 0, again);
    }
  }
}
