// What a process and one of its threads send each other about requests (tasks): a port for nothing else. All that is ready
// in one turn of the event loop is one message, a flat list of entries of `stride` values each: what it is, the number of the
// task, a number, a text, and bytes. The process and its threads are always of the same version.
import type { ServerSettings } from '../pipeline/app-server.js';

/** Of a `MessagePort`. */
export interface TaskPort {
  postMessage(value: unknown, transfer: ArrayBuffer[] | undefined): void;
  onMessage(listener: (entries: Entries) => void): void;
}

/** As its process has it. */
export interface ThreadPort extends TaskPort {
  readonly claims: Claims;
}

export type Entries = readonly (number | string | Bytes | undefined)[];

export const stride = 5;

/** Bytes, or a text in one of two encodings. */
export type Bytes = string | Uint8Array<ArrayBuffer>;

/** Called for each entry of a message. */
export type OnEntry = (kind: number, task: number, number: number, text: string, bytes: Bytes | undefined) => void;

export function forEachEntry(entries: Entries, call: OnEntry): void {
  for (let i = 0; i < entries.length; i += stride) {
    call(
      entries[i] as number,
      entries[i + 1] as number,
      entries[i + 2] as number,
      entries[i + 3] as string,
      entries[i + 4] as Bytes | undefined,
    );
  }
}

/** From the process to the thread. */
export const toThread = {
  /** A request. Number: its `requestFlag`s. Text: its head (`request-head`). Bytes: what there is of its body. */
  begin: 0,
  /** Bytes: more of its body. */
  body: 1,
  /** Its body has ended. Text: its trailers. */
  bodyEnd: 2,
  /** The client has gone, or has had its answer: nothing is to come of it any more. Answered by `done`. Text: why. */
  abort: 3,
  /** Number: so many bytes of its response have gone on to the client. Bytes: the memory of these, for others. */
  credit: 4,
  /** In answer to `draining`: no more tasks. */
  last: 5,
} as const;

/** From the thread to the process. After the first five of them nothing more comes of the task. */
export const fromThread = {
  /** A response that is complete. Number: its `responseFlag`s. Text: its head (`response-head`). Bytes: its body. */
  whole: 0,
  /** The rest of a response, perhaps none. Text: its trailers. Number: as with `body`. */
  end: 1,
  /** The app has failed. Number: the status of an `HttpError`, or 0. Text: a `FailureText`. */
  failed: 2,
  /** The app has destroyed its socket. */
  cut: 3,
  /** The task is over, by `abort`, or because the app has read the rest of its body. */
  done: 4,
  /** The head of a response that is to come in parts. As `whole`, without a body. */
  head: 5,
  /** Bytes: a part of the body of the response. Number: `responseFlag.isLatin1`, or 0. */
  body: 6,
  /** Text: an informational response (100 to 199), as it is sent to the client. */
  informational: 7,
  /** Number: so many bytes of the body of the request have been read. */
  credit: 8,
  /** Of no task. Text: `AppFacts` as JSON. */
  facts: 9,
  /** Of no task: the thread drains, and asks for `last`. */
  draining: 10,
} as const;

export const requestFlag = {
  /** A body, or more of it, is to come. */
  hasBody: 1,
  /** `begin` has all of it. */
  isWhole: 2,
  /** The client holds its body back until it is told to send it. */
  awaitsContinue: 4,
  /** The connection is to stay open. */
  keepsAlive: 8,
} as const;

export const responseFlag = {
  /** The bytes are a text in latin1; otherwise, if they are a text, in UTF-8. */
  isLatin1: 1,
  noDate: 2,
  noConnection: 4,
  noContentLength: 8,
  noTransferEncoding: 16,
  /** The app has the connection closed. */
  closes: 32,
  /** The head is to be sent at once. */
  flushes: 128,
  /** The app goes on reading the request. */
  readsOn: 64,
  /** The handler had returned before it wrote the head. */
  isLate: 256,
} as const;

/** Where a thread and its process agree which of them has a task: by its number among those that were sent to the thread. */
export interface Claims {
  /** Tasks that the thread has begun, or that were taken back from it. */
  readonly taken: number;
  /** Raises `taken` from one value to another, unless it has changed meanwhile. @returns whether it has raised it */
  take(from: number, to: number): boolean;
}

/** Tasks that a thread has ahead, besides those that it handles: at most as many. */
export const maxAhead = 32;

/** Of a body that is announced to be at most this long the process can wait for the end, so that no thread waits for its client. */
export const maxCollectedBytes = 64 * 1024;

/** Bytes of a body that may be on their way, in each direction of each task. */
export const windowBytes = 256 * 1024;
/** As many are acknowledged at a time. */
export const creditBytes = windowBytes / 4;

/** A smaller chunk is copied as a text, which takes less time than a transfer. */
export const maxTextBytes = 16 * 1024;

/**
 * For a chunk that nothing else uses any more: it is moved, if it has its memory for itself.
 * @returns a text in latin1, or bytes to be transferred
 */
export function moveBytes(chunk: Buffer): Bytes {
  if (chunk.length <= maxTextBytes) return chunk.toString('latin1');
  const { buffer, byteLength } = chunk;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(chunk);
}

/** What an app is like that only its threads know. */
export interface AppFacts {
  /** It has listeners for upgrades, or CONNECT. */
  readonly upgrades: boolean;
  /** It tells clients itself to send their bodies ("Expect: 100-continue"). */
  readonly continues: boolean;
  /** What it has set on its own server. */
  readonly server: ServerSettings;
}
