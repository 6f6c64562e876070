// The response of an app to a client that accepts a coding. When Node is about to write the head, it is decided whether the
// body is compressed: a small one that `end` has at once, on the event loop, which takes less time than to hand it to a
// thread; others by a stream, as the app writes.
import type { Coding } from '../http/coding-name.js';
import { codedHead, compressibleHead, notModifiedHead } from './coded-head.js';
import { CompressedBody } from './compressed-body.js';
import { makerOf } from './compressors.js';
import type { Headers, HeadFilter, PipelineResponse } from './response.js';

/** The largest body that is compressed at once: for about 0.2 ms (bytes). */
const maxAtOnceBytes = 32 * 1024;

export type Method = (this: PipelineResponse, ...args: unknown[]) => unknown;

const noBytes = Buffer.alloc(0);

/** Compressors that may be in use besides those that are, in this event loop. */
export interface Room {
  left: number;
}

type NodeFields = { _contentLength: number | null; _implicitHeader(): void };

export class Compressing implements HeadFilter {
  readonly #coding: Coding;
  readonly #room: Room;
  /** Those of the response before this, if they are not of its class. */
  readonly #own: { readonly write: Method | undefined; readonly end: Method | undefined };
  /** The head is to come; the body is as the app writes it; or the head says that it is compressed. */
  #state: 'begun' | 'plain' | 'coded' = 'begun';
  /** What `end` has been called with, while it has Node write the head. */
  #whole: Buffer | undefined;
  /** The same, compressed. */
  #coded: Buffer | undefined;
  /** Content-Length, as the app has set it. */
  #declared: number | undefined;
  #body: CompressedBody | undefined;
  #hasRoom = false;

  constructor(res: PipelineResponse, coding: Coding, room: Room) {
    this.#coding = coding;
    this.#room = room;
    this.#own = {
      write: Object.hasOwn(res, 'write') ? (res.write as Method) : undefined,
      end: Object.hasOwn(res, 'end') ? (res.end as Method) : undefined,
    };
    res.write = write as PipelineResponse['write'];
    res.end = end as PipelineResponse['end'];
  }

  /** The app may have changed the prototype of the response. */
  inherited(res: PipelineResponse, name: 'write' | 'end'): Method {
    return this.#own[name] ?? (Object.getPrototypeOf(res)[name] as Method);
  }

  filter(res: PipelineResponse, headers: Headers | null | undefined): Headers | null | undefined {
    if (this.#state !== 'begun') return headers; // the cache has put another head in its place
    this.#state = 'plain';
    if (res.statusCode === 304) return notModifiedHead(res, headers);
    const head = compressibleHead(res, headers);
    if (!head || !headers) return headers;
    const isCoded = res.reqMethod === 'HEAD' || this.#mayCode(res, head.declared);
    return isCoded ? codedHead(res, headers, this.#coding) : headers;
  }

  #mayCode(res: PipelineResponse, declared: number | undefined): boolean {
    const whole = this.#whole;
    if (whole && declared !== undefined && declared !== whole.length) return false; // Node says what is wrong
    if (whole && whole.length <= maxAtOnceBytes) {
      const coded = makerOf(this.#coding).whole(whole);
      if (coded.length >= whole.length) return false;
      this.#coded = coded;
      (res as unknown as NodeFields)._contentLength = coded.length;
    } else {
      // Node does not say when the client has gone of a response that waits for earlier ones on its connection.
      if (this.#room.left === 0 || !res.socket) return false;
      this.#room.left--;
      this.#hasRoom = true;
      (res as unknown as NodeFields)._contentLength = null; // it is not known
      res.once('close', () => this.#leaveRoom());
      this.#declared = declared;
    }
    this.#state = 'coded';
    return true;
  }

  write(res: PipelineResponse, args: unknown[]): unknown {
    const [chunk, encoding, callback] = typeof args[1] === 'function' ? [args[0], undefined, args[1]] : args;
    const isValid = isBytes(chunk);
    if (this.#state === 'begun' && isValid && isOpen(res)) (res as unknown as NodeFields)._implicitHeader();
    if (this.#state !== 'coded' || res.destroyed || !isValid) return this.inherited(res, 'write').apply(res, args);
    this.#body ??= this.#begin(res);
    return this.#body.write(chunk, encoding, callback);
  }

  end(res: PipelineResponse, args: unknown[]): unknown {
    const [chunk, encoding, callback] = endArguments(args);
    const isEmpty = chunk === undefined || chunk === null;
    const isValid = isEmpty || isBytes(chunk);
    if (this.#state === 'begun' && isBytes(chunk) && isOpen(res)) this.#writeHead(res, bytesOf(chunk, encoding));
    if (this.#state !== 'coded' || res.destroyed || !isValid) return this.inherited(res, 'end').apply(res, args);
    if (this.#body) this.#body.end(chunk, encoding, callback);
    else if (this.#coded) this.#endWith(res, this.#coded, callback);
    else this.#endAfterHead(res, isEmpty ? noBytes : bytesOf(chunk, encoding), callback);
    return res;
  }

  /** The app has written the head before, with or without a length. */
  #endAfterHead(res: PipelineResponse, bytes: Buffer, callback: unknown): void {
    if (this.#declared !== undefined && this.#declared !== bytes.length) res.destroy();
    else if (bytes.length <= maxAtOnceBytes) this.#endWith(res, makerOf(this.#coding).whole(bytes), callback);
    else {
      this.#body = this.#begin(res);
      this.#body.end(bytes, undefined, callback);
    }
  }

  #begin(res: PipelineResponse): CompressedBody {
    return new CompressedBody(res, this.#coding, this.#declared, {
      write: (chunk) => this.inherited(res, 'write').call(res, chunk),
      end: (callback) => {
        this.#leaveRoom();
        this.#state = 'plain';
        this.inherited(res, 'end').call(res, callback);
      },
    });
  }

  #leaveRoom(): void {
    if (this.#hasRoom) this.#room.left++;
    this.#hasRoom = false;
  }

  /** As Node's `end` does, which finds the head written. */
  #writeHead(res: PipelineResponse, whole: Buffer): void {
    const node = res as unknown as NodeFields;
    node._contentLength = whole.length;
    this.#whole = whole;
    node._implicitHeader();
    this.#whole = undefined;
  }

  #endWith(res: PipelineResponse, bytes: Buffer, callback: unknown): void {
    this.#leaveRoom();
    this.#state = 'plain';
    this.#coded = undefined;
    this.inherited(res, 'end').call(res, bytes, callback);
  }
}

const write: Method = function (...args) {
  return (this.headFilter as Compressing).write(this, args);
};

const end: Method = function (...args) {
  return (this.headFilter as Compressing).end(this, args);
};

/** Nothing of it has been written, and something may be. */
function isOpen(res: PipelineResponse): boolean {
  return !res.headersSent && !res.destroyed && !res.writableEnded;
}

function isBytes(chunk: unknown): chunk is string | Uint8Array {
  return typeof chunk === 'string' || chunk instanceof Uint8Array;
}

function bytesOf(chunk: string | Uint8Array, encoding: unknown): Buffer {
  if (typeof chunk === 'string')
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** The chunk, its encoding and the callback of `end`, each of which may be left out. */
function endArguments([chunk, encoding, callback]: unknown[]): readonly unknown[] {
  if (typeof chunk === 'function') return [undefined, undefined, chunk];
  return typeof encoding === 'function' ? [chunk, undefined, encoding] : [chunk, encoding, callback];
}
