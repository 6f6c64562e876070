// What an event loop needs to record and to refuse requests, made from the plain data that its process or thread gets.
import { Denylist, emptyDenylist } from './denylist.js';
import type { Fingerprint } from './fingerprint.js';
import { JournalWriter } from './journal-writer.js';
import type { Region } from './regions.js';

export interface LoopJournal {
  /** undefined if the event loop has no region. */
  readonly writer: JournalWriter | undefined;
  readonly denylist: Denylist;
}

/** @param onCleared called with each suspect that the app has answered */
export function openLoopJournal(
  region: Region | undefined,
  onCleared: (fingerprint: Fingerprint) => void,
): LoopJournal {
  return { writer: region && new JournalWriter(region), denylist: new Denylist(emptyDenylist, onCleared) };
}
