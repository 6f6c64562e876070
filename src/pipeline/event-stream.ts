// A response of the type text/event-stream. It follows what the app writes, so that the server can end the response
// between two events, where an EventSource loses nothing and connects again (WHATWG HTML, section 9.2).
import { encodingOf, ignoreWrite, type LongLived, type Write } from './long-lived.js';
// biome-ignore lint/suspicious/noImportCycles: types only; an event stream has its response
import type { PipelineResponse } from './response.js';

type WriteResponse = Write<PipelineResponse>;

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
    if (typeof chunk !== 'string') this.#addEnd(chunk.length, (at) => chunk[at]);
    // Line ends are characters of UTF-8 that no other one contains.
    else if (encoding === 'utf8') this.#addEnd(chunk.length, (at) => chunk.charCodeAt(at));
    else this.add(Buffer.from(chunk, encoding), encoding);
    if (this.#isDue) this.#end();
  }

  #addEnd(length: number, codeAt: (at: number) => number | undefined): void {
    for (let at = Math.max(0, length - maxBlankLineBytes); at < length; at++) {
      const code = codeAt(at);
      if (code === cr) this.#lineEnds++;
      else if (code !== lf) this.#lineEnds = 0;
      else if (!this.#isAfterCr) this.#lineEnds++;
      this.#isAfterCr = code === cr;
    }
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
  (response as { write: WriteResponse }).write = write;
}

/** @returns the state of an event stream; undefined for another response, and before the head */
export function eventStreamOf(response: PipelineResponse): EventStream | undefined {
  if (response.eventStream === undefined && response.headersSent)
    response.eventStream = isEventStream(response) ? new EventStream(response) : null;
  return response.eventStream ?? undefined;
}

const write: WriteResponse = function (chunk, encoding, callback) {
  if (this.eventStream?.hasEnded) return ignoreWrite(chunk, encoding, callback);
  // The app may have changed the prototype.
  const inherited = Object.getPrototypeOf(this).write as WriteResponse;
  const hasRoom = inherited.call(this, chunk, encoding, callback);
  const stream = eventStreamOf(this);
  if (stream) stream.add(chunk as string | Uint8Array, encodingOf(encoding));
  // No further calls, unless the app has put a function of its own around this one.
  else if (this.eventStream === null && (this.write as WriteResponse) === write)
    (this as { write: WriteResponse }).write = inherited;
  return hasRoom;
};

/** Compressed events have no boundaries that can be seen, and a response with a length cannot end before it. */
function isEventStream(response: PipelineResponse): boolean {
  const head = (response as unknown as { readonly _header: string })._header;
  // The first search is the quickest, and almost every response ends with it.
  return (
    head.includes('text/event-stream') &&
    /^content-type:[ \t]*text\/event-stream[ \t]*[;\r]/im.test(head) &&
    !/^content-(?:encoding|length):/im.test(head)
  );
}
