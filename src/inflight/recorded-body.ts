// What of one request's body tells it from others: a short one is kept on record as it came, and its digest made only
// when somebody asks, which is after a death; of a longer one the digest of what is looked at is made as it comes.
import type { Hash } from 'node:crypto';
import { digestBytes, digestOf, longestBody } from './fingerprint.js';
import type { Recorder } from './journal-writer.js';

export class RecordedBody {
  readonly #recorder: Recorder | undefined;
  readonly #entry: number;
  /** Of a body for which the record has no room. */
  #hash: Hash | undefined;
  /** Bytes that have been looked at. */
  #seen = 0;
  #digest: string | undefined;
  #isWhole = false;
  /** Called when it has arrived, or as much of it as is looked at. */
  onKnown: (() => void) | undefined;

  /** @param entry of `Recorder.begin` */
  constructor(recorder: Recorder | undefined, entry: number) {
    this.#recorder = recorder;
    this.#entry = entry;
  }

  /** Enough of it has arrived to know it again. */
  get isKnown(): boolean {
    return this.#isWhole;
  }

  /** @param chunk the next part of the body; null at its end */
  push(chunk: Buffer | null): void {
    if (this.#isWhole) return;
    if (chunk !== null && chunk.length > 0) this.#add(chunk);
    if (chunk === null || this.#seen >= longestBody) this.#conclude();
  }

  /** Hexadecimal. `unknown` while it arrives. */
  digest(): string {
    if (!this.#isWhole) return 'unknown';
    this.#digest ??= digestOf(this.#recorder?.keptBody(this.#entry) ?? Buffer.alloc(0));
    return this.#digest;
  }

  #add(chunk: Buffer): void {
    const seen = this.#seen;
    this.#seen += chunk.length;
    if (!this.#hash && this.#recorder?.keepBody(this.#entry, seen, chunk)) return;
    if (!this.#hash) {
      this.#hash = process.getBuiltinModule('node:crypto').createHash('sha256');
      if (seen > 0) this.#hash.update(this.#recorder?.keptBody(this.#entry, seen) ?? '');
    }
    this.#hash.update(this.#seen > longestBody ? chunk.subarray(0, longestBody - seen) : chunk);
  }

  #conclude(): void {
    this.#isWhole = true;
    if (this.#hash) {
      const digest = this.#hash.digest();
      this.#digest = digest.toString('hex', 0, digestBytes);
      this.#recorder?.seal(this.#entry, digest);
    } else this.#recorder?.sealKept(this.#entry, this.#seen);
    this.onKnown?.();
  }
}
