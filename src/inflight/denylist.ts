// The requests that an event loop refuses, and the suspects that it reports as cleared once the app has answered them.
import { type BodyDigest, type Fingerprint, fingerprintOf } from './fingerprint.js';

/** As the supervisor sends it. */
export interface DenylistEntries {
  /** In flight when workers died. An answer clears them. */
  readonly suspects: readonly Fingerprint[];
  readonly refused: readonly Fingerprint[];
}

export const emptyDenylist: DenylistEntries = { suspects: [], refused: [] };

export class Denylist {
  #suspects = new Set<Fingerprint>();
  #refused = new Set<Fingerprint>();
  /** Request lines of refused requests with a known body. */
  #linesWithBody = new Set<string>();
  readonly #onCleared: (fingerprint: Fingerprint) => void;

  constructor(entries: DenylistEntries, onCleared: (fingerprint: Fingerprint) => void) {
    this.#onCleared = onCleared;
    this.set(entries);
  }

  set({ suspects, refused }: DenylistEntries): void {
    this.#suspects = new Set(suspects);
    this.#refused = new Set(refused);
    const lineOf = (fingerprint: Fingerprint) => fingerprint.slice(0, fingerprint.lastIndexOf(' '));
    this.#linesWithBody = new Set(refused.filter((one) => !/ (none|unknown)$/.test(one)).map(lineOf));
  }

  get isEmpty(): boolean {
    return this.#suspects.size === 0 && this.#refused.size === 0;
  }

  /** @param line of `requestLine` */
  refuses(line: string, body: BodyDigest): boolean {
    return this.#refused.size > 0 && this.#refused.has(fingerprintOf(line, body));
  }

  /** Whether the body decides if the request is refused. */
  needsBody(line: string): boolean {
    return this.#linesWithBody.has(line);
  }

  /** The app has answered the request, and this event loop lives. */
  answered(line: string, body: BodyDigest): void {
    if (this.#suspects.size === 0) return;
    for (const fingerprint of [fingerprintOf(line, body), fingerprintOf(line, 'unknown')]) {
      if (this.#suspects.delete(fingerprint)) this.#onCleared(fingerprint);
    }
  }
}
