// Digests the body of one request. A body that fits into the slot is copied there, and digested only if its digest is
// needed, which is after a death; a longer one is digested while it arrives.
import type { Hash } from 'node:crypto';
import { digestBytes, digestOf, maxBodyBytes } from './fingerprint.js';
import { type JournalWriter, noSlot } from './journal-writer.js';

export class RecordedBody {
  readonly #writer: JournalWriter | undefined;
  readonly #slot: number;
  /** Of a body that does not fit into the slot. */
  #hash: Hash | undefined;
  #receivedBytes = 0;
  #digest: string | undefined;
  #isKnown = false;
  #isDetached = false;
  /** Called when the body, or `maxBodyBytes` of it, has arrived. */
  onKnown: (() => void) | undefined;

  /** @param slot from `JournalWriter.begin` */
  constructor(writer: JournalWriter | undefined, slot: number) {
    this.#writer = slot === noSlot ? undefined : writer;
    this.#slot = slot;
  }

  /** The body, or `maxBodyBytes` of it, has arrived. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** @param chunk the next part of the body; null at its end */
  push(chunk: Buffer | null): void {
    if (this.#isKnown || this.#isDetached) return;
    if (chunk !== null && chunk.length > 0) this.#add(chunk);
    if (chunk === null || this.#receivedBytes >= maxBodyBytes) this.#finish();
  }

  /** The request has ended, perhaps before its body: the slot is another's from now on. */
  detach(): void {
    this.#isDetached = true;
  }

  /** Hexadecimal; `unknown` until the body is known. */
  digest(): string {
    if (!this.#isKnown) return 'unknown';
    this.#digest ??= digestOf(this.#writer?.bodyIn(this.#slot) ?? Buffer.alloc(0));
    return this.#digest;
  }

  #add(chunk: Buffer): void {
    const before = this.#receivedBytes;
    this.#receivedBytes += chunk.length;
    if (!this.#hash && this.#writer?.appendBody(this.#slot, before, chunk)) return;
    if (!this.#hash) {
      this.#hash = process.getBuiltinModule('node:crypto').createHash('sha256');
      if (before > 0) this.#hash.update(this.#writer?.bodyIn(this.#slot, before) ?? '');
    }
    this.#hash.update(this.#receivedBytes > maxBodyBytes ? chunk.subarray(0, maxBodyBytes - before) : chunk);
  }

  #finish(): void {
    this.#isKnown = true;
    if (this.#hash) {
      const digest = this.#hash.digest();
      this.#digest = digest.toString('hex', 0, digestBytes);
      this.#writer?.setDigest(this.#slot, digest);
    } else this.#writer?.finishBody(this.#slot, this.#receivedBytes);
    this.onKnown?.();
  }
}
