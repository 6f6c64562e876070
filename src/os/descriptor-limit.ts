// How many descriptors this process has open, and how many it may have (RLIMIT_NOFILE). Known on Linux only.
import { closeSync, existsSync, openSync } from 'node:fs';
import { namesIn, readText } from './files.js';

export interface DescriptorUse {
  readonly used: number;
  /** Infinity where it is not known. */
  readonly limit: number;
}

let limit = Number.POSITIVE_INFINITY;

/** Counts them, which takes the longer the more are open: about 1 ms for 5,000. */
export function descriptorUse(): DescriptorUse {
  if (!existsSync('/proc/self/limits')) return { used: 0, limit };
  const text = readText('/proc/self/limits'); // empty when no descriptor is left for it
  if (text !== '') limit = Number(/^Max open files +(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
  const { length } = namesIn('/proc/self/fd');
  return { used: length > 0 ? length - 1 : limit, limit }; // one was for the list itself
}

/** The number that the next descriptor will have: at least so many are open. Infinity if none can be opened. */
export function lowestFreeDescriptor(): number {
  try {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
