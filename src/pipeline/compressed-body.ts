// A body that is compressed as the app writes it. To the app, the response is as before: it says when there is room again, and
// whether it has been ended.
import type { Coding } from '../http/coding-name.js';
import { type Compressor, makerOf } from './compressors.js';
import type { PipelineResponse } from './response.js';

/** Past what compresses. */
export interface Client {
  /** @returns false if there is no room for more, until the response emits `drain` */
  write(bytes: Buffer): unknown;
  end(callback: unknown): void;
}

type Emit = (this: PipelineResponse, name: string | symbol, ...args: unknown[]) => boolean;
type Callback = (error?: Error | null) => void;

export class CompressedBody {
  readonly #res: PipelineResponse;
  readonly #compressor: Compressor;
  readonly #flushKind: number | undefined;
  /** How many bytes the app has said that it will write, and those that it has. */
  readonly #declared: number | undefined;
  #written = 0;
  /** Writes that the compressor has not taken yet. */
  #pending = 0;
  #isFlushDue = false;
  #hasEnded = false;
  #isOver = false;
  #callback: unknown;

  constructor(res: PipelineResponse, coding: Coding, declared: number | undefined, client: Client) {
    const { stream, flushKind } = makerOf(coding);
    const compressor = stream();
    this.#res = res;
    this.#compressor = compressor;
    this.#flushKind = flushKind;
    this.#declared = declared;
    const emit = this.#takeEvents();
    compressor.on('data', (bytes: Buffer) => {
      if (!client.write(bytes) && !res.destroyed) compressor.pause();
    });
    compressor.on('drain', () => emit.call(res, 'drain'));
    compressor.on('error', (error) => res.destroy(error));
    compressor.once('end', () => {
      this.#isOver = true;
      if (this.#declared !== undefined && this.#declared !== this.#written) res.destroy();
      else client.end(this.#callback);
    });
    res.once('close', () => {
      this.#isOver = true;
      compressor.destroy();
    });
    this.#showState();
  }

  write(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    if (this.#hasEnded) return this.#refuse(callback);
    const hasRoom = this.#compressor.write(chunk, encoding as BufferEncoding, (error) => {
      this.#pending--;
      this.#flushLater();
      if (typeof callback === 'function') (callback as Callback)(error);
    });
    this.#written += lengthOf(chunk, encoding);
    this.#pending++;
    return hasRoom;
  }

  end(chunk: unknown, encoding: unknown, callback: unknown): void {
    if (this.#hasEnded) {
      if (chunk !== undefined && chunk !== null) this.#refuse(callback);
      else if (typeof callback === 'function') this.#res.once('finish', callback as () => void);
      return;
    }
    if (chunk !== undefined && chunk !== null) {
      this.#written += lengthOf(chunk, encoding);
      this.#compressor.write(chunk, encoding as BufferEncoding);
    }
    this.#hasEnded = true;
    this.#callback = callback;
    this.#compressor.end();
  }

  /** The client gets what the app has written by the end of a turn of the event loop, unless the app writes on. */
  #flushLater(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      if (this.#pending > 0 || this.#hasEnded || this.#compressor.destroyed) return;
      this.#compressor.flush(this.#flushKind);
    });
  }

  /** As Node does after `end`. */
  #refuse(callback: unknown): false {
    const error = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
    process.nextTick(() => {
      if (typeof callback === 'function') (callback as Callback)(error);
      if (!this.#res.destroyed) this.#res.emit('error', error);
    });
    return false;
  }

  /** That the client has room is for the compressor, and that this has room for the app. @returns for events to the app */
  #takeEvents(): Emit {
    const res = this.#res;
    const before = Object.hasOwn(res, 'emit') ? (res.emit as Emit) : undefined;
    const emit: Emit = function (...args) {
      // The app may have changed the prototype.
      return (before ?? (Object.getPrototypeOf(this).emit as Emit)).apply(this, args);
    };
    const taking: Emit = (name, ...args) => {
      if (name !== 'drain' || this.#isOver) return emit.call(res, name, ...args);
      this.#compressor.resume();
      return true;
    };
    res.emit = taking as PipelineResponse['emit'];
    return emit;
  }

  /** Not `writableLength`, which Node itself looks at. */
  #showState(): void {
    const res = this.#res;
    const inherited = (name: string): unknown => Reflect.get(Object.getPrototypeOf(res), name, res);
    const show = (name: string, value: () => unknown) =>
      Object.defineProperty(res, name, {
        configurable: true,
        get: () => (this.#isOver ? inherited(name) : value()),
      });
    show('writableEnded', () => this.#hasEnded || inherited('writableEnded'));
    show('writableNeedDrain', () => this.#compressor.writableNeedDrain);
  }
}

function lengthOf(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk, (encoding as BufferEncoding | undefined) ?? 'utf8');
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}
