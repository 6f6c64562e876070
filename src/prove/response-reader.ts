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

export class ResponseReader {
  #buffer: Buffer = Buffer.alloc(0);
  #hasStarted = false;
  #status = 0;
  #closes = false;
  /** Reads the next part, and returns false when more data must arrive first; undefined after the last part. */
  #readNext: (() => boolean) | undefined = this.#readHead;
  /** Bytes of the body, or of the chunk, that have not arrived. */
  #remaining = 0;
  #length = 0;

  /** The first byte has arrived, be it of an interim response (1xx). */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** @returns the response when it is complete. @throws InvalidResponse */
  push(piece: Buffer): ResponseSummary | undefined {
    this.#hasStarted ||= piece.length > 0;
    this.#buffer = this.#buffer.length > 0 ? Buffer.concat([this.#buffer, piece]) : piece;
    while (this.#readNext?.()) {}
    if (this.#readNext) return undefined;
    if (this.#buffer.length > 0) throw new InvalidResponse('unexpected data after the response');
    return this.#summary();
  }

  /** The server has closed its side. @returns the response if that completes it. @throws InvalidResponse */
  end(): ResponseSummary {
    if (this.#readNext === this.#readUntilClose) return this.#summary();
    throw new InvalidResponse(this.#hasStarted ? 'response truncated' : 'connection closed before a response');
  }

  #summary(): ResponseSummary {
    return { status: this.#status, closes: this.#closes, length: this.#length };
  }

  #readHead(): boolean {
    const head = this.#readUntil('\r\n\r\n');
    if (head === undefined) return false;
    const [first = '', ...lines] = head.split('\r\n');
    const status = Number(statusLine.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new InvalidResponse(`invalid status line ${quoted(first)}`);
    if (status === 101) throw new InvalidResponse('unexpected status 101 (Switching Protocols)');
    if (status < 200) return true; // an interim response, RFC 9110, section 15.2
    this.#status = status;
    this.#readFraming(readFields(lines));
    return true;
  }

  /** How the body ends: RFC 9112, section 6.3. */
  #readFraming(fields: ReadonlyMap<string, string>): void {
    this.#closes = tokens(fields.get('connection')).includes('close');
    const coding = fields.get('transfer-encoding');
    const length = fields.get('content-length');
    if (coding !== undefined && length !== undefined) {
      throw new InvalidResponse('both Content-Length and Transfer-Encoding');
    }
    if (this.#status === 204 || this.#status === 304) this.#readNext = undefined;
    else if (coding !== undefined) {
      if (coding.toLowerCase() !== 'chunked') throw new InvalidResponse(`unknown transfer coding ${coding}`);
      this.#readNext = this.#readChunkSize;
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new InvalidResponse(`invalid Content-Length ${JSON.stringify(length)}`);
      this.#remaining = Number(length);
      this.#readNext = this.#remaining > 0 ? this.#readBody : undefined;
    } else {
      this.#closes = true;
      this.#readNext = this.#readUntilClose;
    }
  }

  #readBody(): boolean {
    return this.#discard(undefined);
  }

  #readUntilClose(): boolean {
    this.#length += this.#buffer.length;
    this.#buffer = Buffer.alloc(0);
    return false;
  }

  #readChunkSize(): boolean {
    const line = this.#readUntil('\r\n');
    if (line === undefined) return false;
    const digits = /^([\da-f]{1,12})(?:[ \t]*;.*)?$/i.exec(line)?.[1];
    if (digits === undefined) throw new InvalidResponse(`invalid chunk size ${quoted(line)}`);
    this.#remaining = Number.parseInt(digits, 16);
    this.#readNext = this.#remaining > 0 ? this.#readChunk : this.#readTrailer;
    return true;
  }

  #readChunk(): boolean {
    return this.#discard(this.#readChunkEnd);
  }

  #readChunkEnd(): boolean {
    if (this.#buffer.length < 2) return false;
    if (this.#readUntil('\r\n') !== '') throw new InvalidResponse('chunk longer than its announced size');
    this.#readNext = this.#readChunkSize;
    return true;
  }

  #readTrailer(): boolean {
    const line = this.#readUntil('\r\n');
    if (line === undefined) return false;
    if (line === '') this.#readNext = undefined;
    else readFields([line]);
    return true;
  }

  #discard(next: (() => boolean) | undefined): boolean {
    if (this.#buffer.length === 0) return false;
    const bytes = Math.min(this.#remaining, this.#buffer.length);
    this.#buffer = this.#buffer.subarray(bytes);
    this.#length += bytes;
    this.#remaining -= bytes;
    if (this.#remaining === 0) this.#readNext = next;
    return true;
  }

  /** Consumes the text up to `delimiter`, and the delimiter. @returns the text; undefined if more must arrive first */
  #readUntil(delimiter: string): string | undefined {
    const index = this.#buffer.indexOf(delimiter);
    if (index < 0) {
      if (this.#buffer.length > maxHeadBytes) {
        throw new InvalidResponse(`head or chunk header longer than ${maxHeadBytes} bytes`);
      }
      return undefined;
    }
    const text = this.#buffer.toString('latin1', 0, index);
    this.#buffer = this.#buffer.subarray(index + delimiter.length);
    return text;
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
