// What one event loop keeps record of its requests with, made from plain data that a process or thread is given.
import { mapSharedMemory } from '../os/shared-memory.js';
import { nothingWatched, Watchlist } from './denylist.js';
import type { Fingerprint } from './fingerprint.js';
import { boxBytes, regionBytes } from './journal.js';
import { Recorder } from './journal-writer.js';
import type { Box } from './regions.js';

/** A region, in memory that is mapped in this process, or behind a descriptor where to map it would cost too much. */
export type Place =
  | { readonly buffer: SharedArrayBuffer; readonly at: number; readonly bytes: number }
  | { readonly fd: number; readonly position: number; readonly bytes: number };

export interface FlightDeck {
  /** undefined where there is no room for it. */
  readonly recorder: Recorder | undefined;
  readonly watchlist: Watchlist;
}

/** @param onCleared told of suspects that have been answered */
export function openDeck(place: Place | undefined, onCleared: (fingerprint: Fingerprint) => void): FlightDeck {
  const region = place && ('buffer' in place ? { memory: Buffer.from(place.buffer, place.at, place.bytes) } : place);
  return { recorder: region && new Recorder(region), watchlist: new Watchlist(nothingWatched, onCleared) };
}

/** Where the regions of a box are. @returns for the number of a region, from 0, its place; undefined beyond the last */
export function mapped({ fd, plan }: Box): (region: number) => Place | undefined {
  const buffer = mapSharedMemory(fd, boxBytes(plan));
  const bytes = regionBytes(plan);
  return (region) => (region < plan.regions ? { buffer, at: region * bytes, bytes } : undefined);
}

/** The deck keeps its record in memory from now on: not before the first client can be served, as to map it takes time. */
export function mapDeck({ recorder }: FlightDeck, box: Box): void {
  const place = mapped(box)(0);
  if (place && 'buffer' in place) recorder?.map(Buffer.from(place.buffer, place.at, place.bytes));
}

/** The same without mapping it: a write is a call to the system then, but the first costs nothing more. */
export function unmapped({ fd, plan }: Box): (region: number) => Place | undefined {
  const bytes = regionBytes(plan);
  return (region) => (region < plan.regions ? { fd, position: region * bytes, bytes } : undefined);
}
