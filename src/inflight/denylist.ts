// What an event loop knows of requests that have been in flight when workers died: which of them it refuses, and of which
// it tells when they turn out to be harmless.
import { type BodyDigest, type Fingerprint, fingerprintOf } from './fingerprint.js';

/** As the supervisor says it. */
export interface Watched {
  /** An answer clears them. */
  readonly suspects: readonly Fingerprint[];
  readonly refused: readonly Fingerprint[];
}

export const nothingWatched: Watched = { suspects: [], refused: [] };

export class Watchlist {
  #suspects = new Set<Fingerprint>();
  #refused = new Set<Fingerprint>();
  /** Those refused ones that are told apart by their bodies, without these. */
  #subjects = new Set<string>();
  readonly #onCleared: (fingerprint: Fingerprint) => void;

  constructor({ suspects, refused }: Watched, onCleared: (fingerprint: Fingerprint) => void) {
    this.#onCleared = onCleared;
    this.set({ suspects, refused });
  }

  set({ suspects, refused }: Watched): void {
    this.#suspects = new Set(suspects);
    this.#refused = new Set(refused);
    const withoutBody = (one: Fingerprint) => one.slice(0, one.lastIndexOf(' '));
    this.#subjects = new Set(refused.filter((one) => !/ (none|unknown)$/.test(one)).map(withoutBody));
  }

  get isEmpty(): boolean {
    return this.#suspects.size === 0 && this.#refused.size === 0;
  }

  refuses(subject: string, body: BodyDigest): boolean {
    return this.#refused.size > 0 && this.#refused.has(fingerprintOf(subject, body));
  }

  /** Whether it depends on the body of the request if it is refused. */
  needsBody(subject: string): boolean {
    return this.#subjects.has(subject);
  }

  /** It was answered, and whoever answered it lives. */
  answered(subject: string, body: BodyDigest): void {
    if (this.#suspects.size === 0) return;
    for (const one of [fingerprintOf(subject, body), fingerprintOf(subject, 'unknown')]) {
      if (this.#suspects.delete(one)) this.#onCleared(one);
    }
  }
}
