// The requests that an event loop refuses, and the suspects that it reports as cleared once the app has answered them.
import { type BodyDigest, type Fingerprint, fingerprintOf } from './fingerprint.js';

/** As the supervisor sends it. */
export interface DenylistEntries {
  /** They may have killed workers. An answer clears them. */
  readonly suspects: readonly Fingerprint[];
  readonly refused: readonly Fingerprint[];
  /** A worker has died a while ago: find out which request kills the next one (`Culprits`). */
  readonly isSearching: boolean;
}

export const emptyDenylist: DenylistEntries = { suspects: [], refused: [], isSearching: false };

export class Denylist {
  #suspects = new Set<Fingerprint>();
  #refused = new Set<Fingerprint>();
  /** Request lines of refused requests with a known body. */
  #linesWithBody = new Set<string>();
  #isSearching = false;
  readonly #onCleared: (fingerprint: Fingerprint) => void;
  readonly #onSearchEnd: () => void;

  constructor(entries: DenylistEntries, onCleared: (fingerprint: Fingerprint) => void, onSearchEnd = () => {}) {
    this.#onCleared = onCleared;
    this.#onSearchEnd = onSearchEnd;
    this.set(entries);
  }

  set({ suspects, refused, isSearching }: DenylistEntries): void {
    if (this.#isSearching && !isSearching) this.#onSearchEnd();
    this.#isSearching = isSearching;
    this.#suspects = new Set(suspects);
    this.#refused = new Set(refused);
    const lineOf = (fingerprint: Fingerprint) => fingerprint.slice(0, fingerprint.lastIndexOf(' '));
    this.#linesWithBody = new Set(refused.filter((one) => !/ (none|unknown)$/.test(one)).map(lineOf));
  }

  get isSearching(): boolean {
    return this.#isSearching;
  }

  get hasSuspects(): boolean {
    return this.#suspects.size > 0;
  }

  get refusesAny(): boolean {
    return this.#refused.size > 0;
  }

  /** @param line of `requestLine` */
  refuses(line: string, body: BodyDigest): boolean {
    return this.#refused.has(fingerprintOf(line, body));
  }

  /** Whether the body decides if the request is refused. */
  needsBody(line: string): boolean {
    return this.#linesWithBody.has(line);
  }

  /** The app has answered the request, and this event loop lives. */
  answered(line: string, body: BodyDigest): void {
    for (const fingerprint of [fingerprintOf(line, body), fingerprintOf(line, 'unknown')]) {
      if (this.#suspects.delete(fingerprint)) this.#onCleared(fingerprint);
    }
  }
}
