// Sends the response of one task to the process: as a whole where the app writes it at once, otherwise in parts, of which
// so many bytes may be on their way.
import type { Blocks } from './blocks.js';
import type { Outbox } from './outbox.js';
import { drained, type ResponseSink, type TaskResponse } from './task-response.js';
import { type Bytes, fromThread, maxTextBytes, responseFlag, windowBytes } from './wire.js';

type Callback = (error?: Error | null) => void;

export class ResponseSender implements ResponseSink {
  /** Nothing more is sent. */
  isOver = false;
  /** The handler has returned, or has waited for something. */
  isLate = false;
  readonly #outbox: Outbox;
  readonly #blocks: Blocks;
  readonly #task: number;
  readonly #res: TaskResponse;
  readonly #onAnswered: () => void;
  /** Until it is sent. */
  #head: string | undefined;
  #flags = 0;
  /** `end()` of the response runs. */
  #isEnding = false;
  /** `end()` has run. */
  #hasEnded = false;
  /** What is not sent yet. Only one that can be sent now may be a text. */
  #queue: (string | Uint8Array)[] = [];
  #isLatin1 = false;
  /** Bytes that the process has not acknowledged. */
  #unacknowledged = 0;
  /** To be called when what has been written may go on. */
  #onSent: Callback[] = [];

  /** @param onAnswered called when the response is complete */
  constructor(outbox: Outbox, blocks: Blocks, task: number, res: TaskResponse, onAnswered: () => void) {
    this.#outbox = outbox;
    this.#blocks = blocks;
    this.#task = task;
    this.#res = res;
    this.#onAnswered = onAnswered;
  }

  head(text: string, flags: number): void {
    this.#head = text;
    this.#flags = this.isLate ? flags | responseFlag.isLate : flags;
  }

  body(chunk: string | Uint8Array, encoding: BufferEncoding | undefined, sent: Callback | undefined): boolean {
    if (sent) this.#onSent.push(sent);
    if (chunk.length > 0 && !this.isOver) this.#add(chunk, encoding);
    if (this.#isEnding) return true;
    if (!this.isOver) {
      this.#sendHead(chunk.length === 0);
      this.#sendQueue();
    }
    const hasRoom = this.isOver || this.#hasRoom;
    if (hasRoom && this.#onSent.length > 0) process.nextTick(() => this.callSent());
    return hasRoom;
  }

  informational(text: string, sent: Callback | undefined): void {
    if (!this.isOver) this.#outbox.add(fromThread.informational, this.#task, 0, text);
    if (sent) process.nextTick(sent);
  }

  ending(): void {
    this.#isEnding = true;
  }

  ended(isEnded: boolean): void {
    this.#isEnding = false;
    if (this.isOver) return;
    this.#hasEnded = isEnded;
    if (isEnded && this.#finish()) return;
    if (!isEnded && this.#head !== undefined) {
      this.#queue = []; // Node has refused it, and an error is what the client gets
      return;
    }
    this.#sendHead();
    this.#sendQueue();
  }

  /** @param block the memory of the bytes */
  credit(bytes: number, block: ArrayBuffer | undefined): void {
    if (block) this.#blocks.giveBack(block);
    this.#unacknowledged -= bytes;
    this.#sendQueue();
    if (!this.#hasRoom) return;
    this.callSent();
    drained(this.#res);
  }

  callSent(): void {
    if (this.#onSent.length === 0) return;
    const callbacks = this.#onSent;
    this.#onSent = [];
    for (const callback of callbacks) callback();
  }

  get #hasRoom(): boolean {
    return this.#queue.length === 0 && this.#unacknowledged < windowBytes;
  }

  /** Sends the rest with the end, if it is small. @returns whether it was */
  #finish(): boolean {
    const { req, _trailer: trailers } = this.#res as TaskResponse & { readonly _trailer: string };
    const [last] = this.#queue;
    if (this.#queue.length > 1 || (typeof last === 'object' && last.length > maxTextBytes)) return false;
    const { complete, destroyed, _consumed } = req as typeof req & { readonly _consumed: boolean };
    const readsOn = !complete && _consumed && !destroyed ? responseFlag.readsOn : 0;
    const bytes = last === undefined ? undefined : this.#asText(last);
    const flags = readsOn | (this.#isLatin1 ? responseFlag.isLatin1 : 0);
    if (this.#head !== undefined && trailers === '') {
      this.#outbox.add(fromThread.whole, this.#task, this.#flags | flags, this.#head, bytes);
    } else {
      this.#sendHead();
      this.#outbox.add(fromThread.end, this.#task, flags, trailers, bytes);
    }
    this.isOver = true;
    this.#onAnswered();
    return true;
  }

  #add(chunk: string | Uint8Array, encoding: BufferEncoding | undefined): void {
    if (typeof chunk !== 'string') this.#queue.push(chunk);
    else if (chunk.length > maxTextBytes || !isSent(encoding) || !this.#hasRoom)
      this.#queue.push(Buffer.from(chunk, encoding));
    else {
      this.#isLatin1 = encoding === 'latin1' || encoding === 'binary';
      this.#queue.push(chunk);
    }
  }

  #sendQueue(): void {
    while (this.#queue.length > 0 && this.#unacknowledged < windowBytes && !this.isOver) {
      const chunk = this.#queue[0] as string | Uint8Array;
      let bytes: Bytes;
      if (typeof chunk === 'string' || chunk.length <= maxTextBytes) {
        bytes = this.#asText(chunk);
        this.#queue.shift();
      } else {
        bytes = this.#blocks.copy(chunk);
        this.#isLatin1 = false;
        if (bytes.length < chunk.length) this.#queue[0] = chunk.subarray(bytes.length);
        else this.#queue.shift();
      }
      this.#unacknowledged += bytes.length;
      this.#outbox.add(fromThread.body, this.#task, this.#isLatin1 ? responseFlag.isLatin1 : 0, '', bytes);
    }
    if (this.#hasEnded && this.#queue.length === 0 && !this.isOver) this.#finish();
  }

  #asText(chunk: string | Uint8Array): string {
    if (typeof chunk === 'string') return chunk;
    this.#isLatin1 = true;
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
  }

  #sendHead(isFlushed = false): void {
    if (this.#head === undefined) return;
    const flushes = isFlushed ? responseFlag.flushes : 0;
    this.#outbox.add(fromThread.head, this.#task, this.#flags | flushes, this.#head);
    this.#head = undefined;
  }
}

/** Whether a text is sent as it is. */
function isSent(encoding: BufferEncoding | undefined): boolean {
  return !encoding || ['utf8', 'utf-8', 'latin1', 'binary'].includes(encoding);
}
