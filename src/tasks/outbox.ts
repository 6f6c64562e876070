// Collects what becomes ready in one turn of the event loop, and posts it as one message.
import type { Bytes, TaskPort } from './wire.js';

export class Outbox {
  readonly #port: TaskPort;
  #entries: unknown[] = [];
  /** Of what is in the entries; undefined for nothing. */
  #transfer: ArrayBuffer[] | undefined;

  constructor(port: TaskPort) {
    this.#port = port;
  }

  /** @param bytes of `copyBytes`; nothing else of this event loop may use them any more */
  add(kind: number, task: number, number = 0, text = '', bytes?: Bytes): void {
    if (this.#entries.length === 0) queueMicrotask(this.#post);
    this.#entries.push(kind, task, number, text, bytes);
    if (typeof bytes !== 'object') return;
    this.#transfer ??= [];
    this.#transfer.push(bytes.buffer);
  }

  readonly #post = (): void => {
    const entries = this.#entries;
    const transfer = this.#transfer;
    this.#entries = [];
    this.#transfer = undefined;
    this.#port.postMessage(entries, transfer);
  };
}
