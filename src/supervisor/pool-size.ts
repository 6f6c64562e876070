// How many workers there are, as an operator or the load has changed the number. A reload keeps it, and so do an upgrade
// and a switch.
import type { Config } from '../config/config.js';

/** Passed to the successor, so fields keep their names. */
export interface PoolSize extends Pick<Config['pool'], 'model' | 'workers'> {
  /** How many there are, where `workers` are configured; 0 while none serves. */
  readonly size: number;
}

/** @returns how many workers `next` starts with; undefined if it is of another model, or another number is configured now */
export function keptSize(
  { model, workers, size }: PoolSize,
  next: Pick<Config['pool'], 'model' | 'workers'>,
): number | undefined {
  return size > 0 && next.model === model && next.workers === workers ? size : undefined;
}
