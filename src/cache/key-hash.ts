// Hashes keys for tables that clients could otherwise fill with colliding ones. The same key is hashed several times in a row.
import { SipHash } from '../rate-limit/sip-hash.js';

/** Two hashes of a key: together they tell nearly all keys apart. */
export interface KeyHash {
  readonly a: number;
  readonly b: number;
}

export class KeyHasher {
  readonly #sipHash: SipHash;
  #key = '';
  #hash: KeyHash;

  /** @param secret four random words, that clients do not know */
  constructor(secret: Int32Array) {
    this.#sipHash = new SipHash(secret);
    this.#hash = this.#compute('');
  }

  of(key: string): KeyHash {
    if (key !== this.#key) {
      this.#hash = this.#compute(key);
      this.#key = key;
    }
    return this.#hash;
  }

  #compute(key: string): KeyHash {
    this.#sipHash.hash(key);
    return { a: this.#sipHash.high, b: this.#sipHash.low };
  }
}
