// What an event loop needs to record and to refuse requests, made from the plain data that its process or thread gets.
import { Culprits } from './culprits.js';
import { Denylist, emptyDenylist } from './denylist.js';
import type { Fingerprint } from './fingerprint.js';
import { JournalWriter } from './journal-writer.js';
import type { Region } from './regions.js';

export interface LoopJournal {
  /** undefined if the event loop has no region. */
  readonly writer: JournalWriter | undefined;
  readonly culprits: Culprits | undefined;
  readonly denylist: Denylist;
}

/** @param onCleared called with each suspect that the app has answered */
export function openLoopJournal(
  region: Region | undefined,
  onCleared: (fingerprint: Fingerprint) => void,
): LoopJournal {
  const writer = region && new JournalWriter(region);
  const culprits = writer && new Culprits(writer);
  return { writer, culprits, denylist: new Denylist(emptyDenylist, onCleared, () => culprits?.stop()) };
}
