// A response of the type text/event-stream. It follows what the app writes, so that the server can end the response
// between two events, where an EventSource loses nothing and connects again (WHATWG HTML, section 9.2).
import type { LongLived } from './long-lived.js';
// biome-ignore lint/suspicious/noImportCycles: types only; an event stream has its response
import type { PipelineResponse } from './response.js';

type Callback = (error?: Error | null) => void;
type Write = (
  this: PipelineResponse,
  chunk: unknown,
  encoding?: BufferEncoding | Callback,
  callback?: Callback,
) => boolean;

const cr = 13;
const lf = 10;
/** An event ends with a blank line: with two line ends, each of which is CR LF, LF or CR. */
const maxBlankLineBytes = 4;

export class EventStream implements LongLived {
  readonly #response: PipelineResponse;
  /** Line ends after the last character of a line; none is needed before the first event. */
  #lineEnds = 2;
  #isAfterCr = false;
  #isDue = false;
  /** The server has ended the response. */
  hasEnded = false;

  constructor(response: PipelineResponse) {
    this.#response = response;
  }

  close(): void {
    this.#isDue = true;
    this.#end();
  }

  /** @param chunk of the app, which has been written */
  add(chunk: string | Uint8Array, encoding: BufferEncoding): void {
    // In UTF-8 a character has at least one byte.
    const text = typeof chunk === 'string' && encoding === 'utf8' ? chunk.slice(-maxBlankLineBytes) : chunk;
    const last = typeof text === 'string' ? Buffer.from(text, encoding) : text;
    for (const byte of last.subarray(-maxBlankLineBytes)) {
      if (byte === cr) this.#lineEnds++;
      else if (byte !== lf) this.#lineEnds = 0;
      else if (!this.#isAfterCr) this.#lineEnds++;
      this.#isAfterCr = byte === cr;
    }
    if (this.#isDue) this.#end();
  }

  #end(): void {
    const response = this.#response;
    if (this.hasEnded || this.#lineEnds < 2 || response.writableEnded || response.destroyed) return;
    this.hasEnded = true;
    // The app does not know of it, and may write past `write` or end the response with an event.
    response.on('error', () => {});
    response.end();
  }
}

/** Has the response follow what the app writes, if it turns out to be an event stream. */
export function watchEvents(response: PipelineResponse): void {
  (response as { write: Write }).write = write;
}

/** @returns the state of an event stream; undefined for another response, and before the head */
export function eventStreamOf(response: PipelineResponse): EventStream | undefined {
  if (response.eventStream === undefined && response.headersSent)
    response.eventStream = isEventStream(response) ? new EventStream(response) : null;
  return response.eventStream ?? undefined;
}

const write: Write = function (chunk, encoding, callback) {
  if (this.eventStream?.hasEnded) {
    const done = typeof encoding === 'function' ? encoding : callback;
    if (done) process.nextTick(done);
    return true;
  }
  // The app may have changed the prototype.
  const inherited = Object.getPrototypeOf(this).write as Write;
  const hasRoom = inherited.call(this, chunk, encoding, callback);
  eventStreamOf(this)?.add(chunk as string | Uint8Array, typeof encoding === 'string' ? encoding : 'utf8');
  return hasRoom;
};

/** Compressed events have no boundaries that can be seen, and a response with a length cannot end before it. */
function isEventStream(response: PipelineResponse): boolean {
  const head = (response as unknown as { readonly _header: string })._header;
  return (
    /^content-type:[ \t]*text\/event-stream[ \t]*[;\r]/im.test(head) && !/^content-(?:encoding|length):/im.test(head)
  );
}
