// Follows what the app writes on a WebSocket connection, and knows whether it is between two frames (RFC 6455, section
// 5.2). It keeps some numbers and copies no payload.

/** The beginning and the end of the head that answers an upgrade. */
const switching = Buffer.from('HTTP/1.1 101 ');
const headEnd = Buffer.from('\r\n\r\n');

const opcodes = { binary: 2, close: 8, pong: 10 } as const;
/** Of a control frame (RFC 6455, section 5.5). */
const maxControlLength = 125;

export class FrameBoundaries {
  /** Bytes that the app has written. */
  bytes = 0;
  /** The app has begun a Close frame. */
  hasClose = false;
  /** The app's bytes are no frames of a server, so nothing is known of them any more. */
  isLost = false;
  /** Bytes of `switching` and then of `headEnd` that have been found. */
  #inHead = 0;
  /** Bytes of the current frame's header so far; 0 between two headers. */
  #inHeader = 0;
  #isControl = false;
  /** Bytes of an extended length that are to come. */
  #lengthBytes = 0;
  /** Bytes of the payload: while the header is read, its length as known so far; then those that are to come. */
  #payload = 0;

  /** Whether the head has ended, and the last frame has. */
  get isBetweenFrames(): boolean {
    return !this.isLost && this.#hasHead && this.#inHeader === 0 && this.#payload === 0;
  }

  add(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    for (let at = 0; at < chunk.length && !this.isLost; ) {
      const length = Math.min(this.#payloadLeft, chunk.length - at);
      if (length === 0) this.#addByte(chunk[at++] as number);
      this.#payload -= length;
      at += length;
    }
  }

  /** As `add`. A text that is only payload is counted, and not converted. */
  addText(text: string, encoding: BufferEncoding): void {
    const length = this.#payloadLeft > 0 ? Buffer.byteLength(text, encoding) : 0;
    if (length === 0 || length > this.#payloadLeft) this.add(Buffer.from(text, encoding));
    else {
      this.bytes += length;
      this.#payload -= length;
    }
  }

  /** Bytes that are to come of the current frame, once its header is complete. */
  get #payloadLeft(): number {
    return this.#inHeader === 0 && this.#hasHead ? this.#payload : 0;
  }

  get #hasHead(): boolean {
    return this.#inHead === switching.length + headEnd.length;
  }

  #addByte(byte: number): void {
    if (!this.#hasHead) this.#addToHead(byte);
    else if (this.#inHeader === 0) this.#beginHeader(byte);
    else if (this.#inHeader++ === 1) this.#addLength(byte);
    else {
      this.#payload = this.#payload * 256 + byte;
      if (this.#payload > Number.MAX_SAFE_INTEGER) this.isLost = true;
      if (--this.#lengthBytes === 0) this.#inHeader = 0;
    }
  }

  #addToHead(byte: number): void {
    const found = this.#inHead - switching.length;
    if (found < 0) {
      if (byte === switching[this.#inHead]) this.#inHead++;
      else this.isLost = true; // the app has refused the upgrade
    } else if (byte === headEnd[found]) this.#inHead++;
    else this.#inHead = switching.length + (byte === headEnd[0] ? 1 : 0);
  }

  #beginHeader(byte: number): void {
    const opcode = byte & 0x0f;
    const isFinal = (byte & 0x80) !== 0;
    this.#isControl = opcode >= opcodes.close;
    this.#inHeader = 1;
    if (opcode === opcodes.close) this.hasClose = true;
    const isReserved = this.#isControl ? opcode > opcodes.pong : opcode > opcodes.binary;
    if (isReserved || (this.#isControl && !isFinal)) this.isLost = true;
  }

  #addLength(byte: number): void {
    const length = byte & 0x7f;
    const isMasked = (byte & 0x80) !== 0; // a server masks no frame
    if (isMasked || (this.#isControl && length > maxControlLength)) this.isLost = true;
    this.#lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
    this.#payload = this.#lengthBytes > 0 ? 0 : length;
    if (this.#lengthBytes === 0) this.#inHeader = 0;
  }
}
