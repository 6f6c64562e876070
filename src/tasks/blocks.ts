// Memory for the bytes that a thread sends. The process gives it back when they have gone on.
const blockBytes = 64 * 1024;
/** Blocks that are kept for other bytes. */
const maxFree = 16;

export class Blocks {
  readonly #free: ArrayBuffer[] = [];

  /** @returns a copy of the next bytes of `chunk`, at most a block of them, to be transferred */
  copy(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
    const length = Math.min(blockBytes, chunk.length);
    const block = new Uint8Array(this.#free.pop() ?? new ArrayBuffer(blockBytes), 0, length);
    block.set(chunk.subarray(0, length));
    return block;
  }

  giveBack(block: ArrayBuffer): void {
    if (block.byteLength === blockBytes && this.#free.length < maxFree) this.#free.push(block);
  }
}
