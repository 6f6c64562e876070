// Reads one HTTP/1.1 response from pieces as they arrive, and discards its body. The reader is strict: anything that
// RFC 9112 forbids is an error, because a lenient client would hide faults of the server.

export interface ResponseSummary {
  readonly status: number;
  /** The server closes the connection after this response. */
  readonly closes: boolean;
  /** Of the body, in bytes. */
  readonly length: number;
}

/** The server sent something that is no valid response, or closed the connection too early. */
export class InvalidResponse extends Error {}

/** Limit of a head, a chunk header and a trailer line (bytes). */
const maxHeadBytes = 65_536;
const maxQuotedChars = 60;
const statusLine = /^HTTP\/1\.1 ([1-9]\d\d) [\t\x20-\x7e\x80-\xff]*$/;
const fieldLine = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;

/** Yields when more data must arrive first. */
type Reading<T> = Generator<undefined, T>;

export class ResponseReader {
  #buffer: Buffer = Buffer.alloc(0);
  #hasStarted = false;
  #isClosed = false;
  readonly #isForHead: boolean;
  readonly #response = this.#read();

  /** @param isForHead the response is to a HEAD request, so it has no body, whatever its headers say */
  constructor(isForHead = false) {
    this.#isForHead = isForHead;
  }

  /** The first byte has arrived, be it of an interim response (1xx). */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** @returns the response when it is complete. @throws InvalidResponse */
  push(piece: Buffer): ResponseSummary | undefined {
    this.#hasStarted ||= piece.length > 0;
    this.#buffer = this.#buffer.length > 0 ? Buffer.concat([this.#buffer, piece]) : piece;
    const { done, value } = this.#response.next();
    if (done && this.#buffer.length > 0) throw new InvalidResponse('unexpected data after the response');
    return value;
  }

  /** The server has closed its side. @returns the response if that completes it. @throws InvalidResponse */
  end(): ResponseSummary {
    this.#isClosed = true;
    const { value } = this.#response.next();
    if (value) return value;
    throw new InvalidResponse(this.#hasStarted ? 'response truncated' : 'connection closed before a response');
  }

  /** How the body ends: RFC 9112, section 6.3. */
  *#read(): Reading<ResponseSummary> {
    const { status, fields } = yield* this.#readHead();
    const closes = tokens(fields.get('connection')).includes('close');
    const coding = fields.get('transfer-encoding');
    const length = fields.get('content-length');
    if (coding !== undefined && length !== undefined) {
      throw new InvalidResponse('both Content-Length and Transfer-Encoding');
    }
    if (this.#isForHead || status === 204 || status === 304) return { status, closes, length: 0 };
    if (coding !== undefined) {
      if (coding.toLowerCase() !== 'chunked') throw new InvalidResponse(`unknown transfer coding ${coding}`);
      return { status, closes, length: yield* this.#readChunks() };
    }
    if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new InvalidResponse(`invalid Content-Length ${JSON.stringify(length)}`);
      return { status, closes, length: yield* this.#discard(Number(length)) };
    }
    return { status, closes: true, length: yield* this.#discard(Number.POSITIVE_INFINITY) };
  }

  *#readHead(): Reading<{ readonly status: number; readonly fields: ReadonlyMap<string, string> }> {
    for (;;) {
      const [first = '', ...lines] = (yield* this.#readUntil('\r\n\r\n')).split('\r\n');
      const status = Number(statusLine.exec(first)?.[1]);
      if (Number.isNaN(status)) throw new InvalidResponse(`invalid status line ${quoted(first)}`);
      if (status === 101) throw new InvalidResponse('unexpected status 101 (Switching Protocols)');
      if (status >= 200) return { status, fields: readFields(lines) }; // else an interim one, RFC 9110, section 15.2
    }
  }

  /** @returns the length of the body */
  *#readChunks(): Reading<number> {
    for (let length = 0; ; ) {
      const line = yield* this.#readUntil('\r\n');
      const digits = /^([\da-f]{1,12})(?:[ \t]*;.*)?$/i.exec(line)?.[1];
      if (digits === undefined) throw new InvalidResponse(`invalid chunk size ${quoted(line)}`);
      const size = Number.parseInt(digits, 16);
      if (size === 0) {
        // Trailers, up to an empty line.
        for (let field = yield* this.#readUntil('\r\n'); field; field = yield* this.#readUntil('\r\n'))
          readFields([field]);
        return length;
      }
      length += yield* this.#discard(size);
      while (this.#buffer.length < 2) yield;
      if (this.#buffer.indexOf('\r\n') !== 0) throw new InvalidResponse('chunk longer than its announced size');
      yield* this.#readUntil('\r\n');
    }
  }

  /** @param bytes Infinity: until the server closes the connection. @returns how many there were */
  *#discard(bytes: number): Reading<number> {
    for (let count = 0; ; ) {
      const { length } = this.#buffer;
      this.#buffer = this.#buffer.subarray(bytes - count);
      count += length - this.#buffer.length;
      if (count === bytes || (bytes === Number.POSITIVE_INFINITY && this.#isClosed)) return count;
      yield;
    }
  }

  /** Consumes the text up to `delimiter`, and the delimiter. @returns the text */
  *#readUntil(delimiter: string): Reading<string> {
    for (;;) {
      const index = this.#buffer.indexOf(delimiter);
      if (index >= 0) {
        const text = this.#buffer.toString('latin1', 0, index);
        this.#buffer = this.#buffer.subarray(index + delimiter.length);
        return text;
      }
      if (this.#buffer.length > maxHeadBytes) {
        throw new InvalidResponse(`head or chunk header longer than ${maxHeadBytes} bytes`);
      }
      yield;
    }
  }
}

/** Names in lower case; values of repeated fields are joined with commas, RFC 9110, section 5.3. */
function readFields(lines: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = fieldLine.exec(line) ?? [];
    if (name === '') throw new InvalidResponse(`invalid header ${quoted(line)}`);
    const key = name.toLowerCase();
    const previous = fields.get(key);
    fields.set(key, previous === undefined ? value : `${previous}, ${value}`);
  }
  return fields;
}

function tokens(value = ''): readonly string[] {
  return value.split(',').map((token) => token.trim().toLowerCase());
}

function quoted(line: string): string {
  return JSON.stringify(line.slice(0, maxQuotedChars));
}
