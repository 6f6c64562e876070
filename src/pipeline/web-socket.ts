// A connection that a client has asked to upgrade to WebSocket. It follows what the app writes, so that the server can
// send a Close frame between two frames of the app. Until then it changes nothing.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FrameBoundaries } from './frame-boundaries.js';
import { encodingOf, ignoreWrite, type LongLived, type Write } from './long-lived.js';

const closeFrame = (code: number): Buffer => Buffer.from([0x88, 2, code >> 8, code & 0xff]);
/** "Service restart" and "going away" (IANA, WebSocket Close Code Number Registry). */
const closeFrames = { restart: closeFrame(1012), stop: closeFrame(1001) };

/** @returns whether the request asks for WebSocket and no other protocol */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.trim().toLowerCase() === 'websocket';
}

export class WebSocketConnection implements LongLived {
  readonly #socket: Socket;
  readonly #write: Write;
  readonly #written = new FrameBoundaries();
  readonly #bytesBefore: number;
  /** Which Close frame is to be sent. */
  #due: keyof typeof closeFrames | undefined;
  #answerMs = 0;
  #isClosing = false;

  /** Make it before the app has the socket. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#bytesBefore = socket.bytesWritten;
    this.#write = socket.write as Write;
    (socket as { write: Write }).write = (chunk, encoding, callback) => this.#appWrites(chunk, encoding, callback);
  }

  close(isStop: boolean, answerMs: number): void {
    this.#answerMs = answerMs;
    this.#due = isStop ? 'stop' : 'restart';
    this.#sendClose();
  }

  #appWrites(...[chunk, encoding, callback]: Parameters<Write>): boolean {
    // Nothing may follow a Close frame (RFC 6455, section 5.5.1), not even the app's answer to the client's.
    if (this.#isClosing) return ignoreWrite(chunk, encoding, callback);
    const hasRoom = this.#write.call(this.#socket, chunk, encoding, callback);
    if (typeof chunk === 'string') this.#written.addText(chunk, encodingOf(encoding));
    else this.#written.add(bytesOf(chunk as ArrayBufferView));
    if (this.#due) this.#sendClose();
    return hasRoom;
  }

  #sendClose(): void {
    const socket = this.#socket;
    const { isBetweenFrames, hasClose, bytes } = this.#written;
    if (!this.#due || this.#isClosing || hasClose || !isBetweenFrames || !socket.writable) return;
    // Something has been written past `write`, so the app may be inside a frame.
    if (socket.bytesWritten - this.#bytesBefore !== bytes) return;
    this.#isClosing = true;
    // The client's Close frame has the app end the socket. The time begins when the client can have got ours.
    this.#write.call(socket, closeFrames[this.#due], undefined, () => {
      setTimeout(() => socket.destroy(), this.#answerMs).unref();
    });
  }
}

const bytesOf = (chunk: ArrayBufferView): Uint8Array =>
  chunk instanceof Uint8Array ? chunk : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
