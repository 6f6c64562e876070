// Reads one HTTP/1.1 response from pieces as they arrive, and keeps nothing of its body. It is strict: what RFC 9112
// does not allow is an error, for a client that forgives would hide what a server does wrong.

export interface Answer {
  readonly status: number;
  /** The server has announced that it closes the connection. */
  readonly closes: boolean;
  /** Of the body, in bytes. */
  readonly length: number;
}

/** What has arrived is no response, or ends before it should. */
export class BadAnswer extends Error {}

type Part = 'head' | 'body' | 'chunk size' | 'chunk' | 'chunk end' | 'trailers' | 'until the end' | 'done';

/** More than any head has (bytes). */
const longestHead = 65_536;
const statusLine = /^HTTP\/1\.1 ([1-9]\d\d) [\t\x20-\x7e\x80-\xff]*$/;
const fieldLine = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;

export class AnswerReader {
  #part: Part = 'head';
  #unread: Buffer = Buffer.alloc(0);
  #hasBegun = false;
  #status = 0;
  #closes = false;
  /** Bytes that are missing of the body, or of the chunk. */
  #missing = 0;
  #length = 0;

  /** Whether any byte of it has arrived, interim responses (1xx) included. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** @returns the answer when it is whole. @throws BadAnswer */
  push(piece: Buffer): Answer | undefined {
    this.#hasBegun ||= piece.length > 0;
    this.#unread = this.#unread.length > 0 ? Buffer.concat([this.#unread, piece]) : piece;
    while (this.#part !== 'done' && this.#step()) {}
    if (this.#part !== 'done') return undefined;
    if (this.#unread.length > 0) throw new BadAnswer('more came than the answer');
    return this.#answer();
  }

  /** The server has closed its side. @returns the answer, where that is its end. @throws BadAnswer */
  end(): Answer {
    if (this.#part === 'until the end') return this.#answer();
    throw new BadAnswer(this.#hasBegun ? 'the answer was cut' : 'closed before an answer');
  }

  #answer(): Answer {
    return { status: this.#status, closes: this.#closes, length: this.#length };
  }

  /** @returns false when more must arrive first */
  #step(): boolean {
    switch (this.#part) {
      case 'head':
        return this.#readHead();
      case 'body':
        return this.#skip('done');
      case 'chunk size':
        return this.#readSize();
      case 'chunk':
        return this.#skip('chunk end');
      case 'chunk end':
        return this.#readChunkEnd();
      case 'trailers':
        return this.#readTrailer();
      case 'until the end':
        this.#length += this.#unread.length;
        this.#unread = Buffer.alloc(0);
        return false;
      case 'done':
        return false;
    }
  }

  #readHead(): boolean {
    const head = this.#take('\r\n\r\n');
    if (head === undefined) return false;
    const [first = '', ...lines] = head.split('\r\n');
    const status = Number(statusLine.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new BadAnswer(`${JSON.stringify(first.slice(0, 60))} is no status line`);
    if (status === 101) throw new BadAnswer('the protocol was switched');
    if (status < 200) return true; // an interim response, RFC 9110, section 15.2
    this.#status = status;
    this.#frame(readFields(lines));
    return true;
  }

  /** How the body ends: RFC 9112, section 6.3. */
  #frame(fields: ReadonlyMap<string, string>): void {
    this.#closes = tokens(fields.get('connection')).includes('close');
    const coding = fields.get('transfer-encoding');
    const length = fields.get('content-length');
    if (coding !== undefined && length !== undefined) throw new BadAnswer('it has a length and is chunked, too');
    if (this.#status === 204 || this.#status === 304) this.#part = 'done';
    else if (coding !== undefined) {
      if (coding.toLowerCase() !== 'chunked') throw new BadAnswer(`it is in the unknown coding ${coding}`);
      this.#part = 'chunk size';
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new BadAnswer(`its length is ${JSON.stringify(length)}`);
      this.#missing = Number(length);
      this.#part = this.#missing > 0 ? 'body' : 'done';
    } else {
      this.#closes = true;
      this.#part = 'until the end';
    }
  }

  #readSize(): boolean {
    const line = this.#take('\r\n');
    if (line === undefined) return false;
    const digits = /^([\da-f]{1,12})(?:[ \t]*;.*)?$/i.exec(line)?.[1];
    if (digits === undefined) throw new BadAnswer(`${JSON.stringify(line.slice(0, 60))} is no size of a chunk`);
    this.#missing = Number.parseInt(digits, 16);
    this.#part = this.#missing > 0 ? 'chunk' : 'trailers';
    return true;
  }

  #readChunkEnd(): boolean {
    if (this.#unread.length < 2) return false;
    if (this.#take('\r\n') !== '') throw new BadAnswer('a chunk is longer than it said');
    this.#part = 'chunk size';
    return true;
  }

  #readTrailer(): boolean {
    const line = this.#take('\r\n');
    if (line === undefined) return false;
    if (line === '') this.#part = 'done';
    else readFields([line]);
    return true;
  }

  #skip(next: Part): boolean {
    if (this.#unread.length === 0) return false;
    const now = Math.min(this.#missing, this.#unread.length);
    this.#unread = this.#unread.subarray(now);
    this.#length += now;
    this.#missing -= now;
    if (this.#missing === 0) this.#part = next;
    return true;
  }

  /** The text before the next `mark`, which is taken, too; undefined when it has not arrived. */
  #take(mark: string): string | undefined {
    const at = this.#unread.indexOf(mark);
    if (at < 0) {
      if (this.#unread.length > longestHead) throw new BadAnswer('its head has no end');
      return undefined;
    }
    const text = this.#unread.toString('latin1', 0, at);
    this.#unread = this.#unread.subarray(at + mark.length);
    return text;
  }
}

/** Names in lower case; a field that comes again is joined with commas, RFC 9110, section 5.3. */
function readFields(lines: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = fieldLine.exec(line) ?? [];
    if (name === '') throw new BadAnswer(`${JSON.stringify(line.slice(0, 60))} is no header`);
    const key = name.toLowerCase();
    const before = fields.get(key);
    fields.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return fields;
}

function tokens(value = ''): readonly string[] {
  return value.split(',').map((token) => token.trim().toLowerCase());
}
