// The token of --admin-token-file: who asks without it learns nothing, and is slowed down.
import { createHash, timingSafeEqual } from 'node:crypto';
import { now } from '../clock.js';
import { type Page, textPage } from './pages.js';

/** Wrong tokens of all clients together, after which all wait (per minute): a client may have many addresses. */
const maxWrong = 60;
const windowMs = 60_000;

export class TokenCheck {
  readonly #digest: Buffer;
  readonly #onWrong: (address: string) => void;
  #wrong = 0;
  #since = Number.NEGATIVE_INFINITY;

  /** @param onWrong told the address of each client with a wrong token */
  constructor(token: string, onWrong: (address: string) => void) {
    this.#digest = digest(token);
    this.#onWrong = onWrong;
  }

  /** @param authorization the header. @returns the answer to a client that may not read; undefined if it may */
  refusal(authorization: string | undefined, address: string): Page | undefined {
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
    // Of digests the time of the comparison tells nothing, nor does the length.
    if (token !== undefined && timingSafeEqual(digest(token), this.#digest)) return undefined;
    if (token === undefined) return textPage(401, 'needs the token of --admin-token-file: Authorization: Bearer TOKEN');
    const time = now();
    if (time - this.#since > windowMs) {
      this.#since = time;
      this.#wrong = 0;
    }
    if (++this.#wrong > maxWrong) return textPage(429, 'too many wrong tokens; wait a minute');
    this.#onWrong(address);
    return textPage(401, 'wrong token');
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
