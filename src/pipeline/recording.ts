// Follows the response that an app writes to a client, for the cache: it keeps the body, or has the client get a stored
// response instead (a 304 on a question of the cache, or an error). Nothing that the client gets is delayed.
import type { Answer } from '../cache/answer.js';
import { replaceHead, writtenHead } from './answering.js';
import type { PipelineResponse, Recorder } from './response.js';

/** Told of the response. Each is called once at most. */
export interface RecordingListener {
  /** @returns `record` its body, let it `pass`, or what the client gets instead */
  onHead(text: string, status: number, message: string): 'record' | 'pass' | Answer;
  /** The whole body. */
  onBody(pieces: readonly Buffer[], bytes: number): void;
  /** It was recorded, but there will be no whole body. */
  onLost(): void;
  /** @returns whether `bytes` more may be kept */
  reserve(bytes: number): boolean;
  /** They are kept no more here. */
  release(bytes: number): void;
}

type Method = (this: PipelineResponse, ...args: unknown[]) => unknown;

export class Recording implements Recorder {
  readonly #listener: RecordingListener;
  /** Those of the response before this, if they are not of its class. */
  readonly #own: { readonly write: Method | undefined; readonly end: Method | undefined };
  /** The app's answer to a question of the cache, or an error, may be replaced. */
  readonly #mayReplace: boolean;
  #state: 'begun' | 'recording' | 'replaced' | 'over' = 'begun';
  #pieces: Buffer[] = [];
  #bytes = 0;
  #body: Answer['body'];

  constructor(res: PipelineResponse, listener: RecordingListener, mayReplace: boolean) {
    this.#listener = listener;
    this.#mayReplace = mayReplace;
    this.#own = {
      write: Object.hasOwn(res, 'write') ? (res.write as Method) : undefined,
      end: Object.hasOwn(res, 'end') ? (res.end as Method) : undefined,
    };
    res.recording = this;
    res.onStored = onStored;
    res.write = write as PipelineResponse['write'];
    res.end = end as PipelineResponse['end'];
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** The app may have changed the prototype of the response. */
  inherited(res: PipelineResponse, name: 'write' | 'end'): Method {
    return this.#own[name] ?? (Object.getPrototypeOf(res)[name] as Method);
  }

  headWritten(res: PipelineResponse): void {
    if (this.#state !== 'begun') return void this.lose();
    this.#state = 'over';
    const verdict = this.#listener.onHead(writtenHead(res), res.statusCode, res.statusMessage);
    if (verdict === 'pass') return;
    if (verdict === 'record') this.#state = 'recording';
    else {
      this.#state = 'replaced';
      this.#body = res.reqMethod === 'HEAD' ? undefined : verdict.body;
      replaceHead(res, verdict);
    }
  }

  /** Before the first byte of a body: what it says may have to be replaced, which is known with the head. */
  beforeBody(res: PipelineResponse, setLength?: () => void): void {
    if (!this.#mayReplace || this.#state !== 'begun' || res.headersSent) return;
    if (res.statusCode !== 304 && res.statusCode < 500) return;
    setLength?.();
    res.writeHead(res.statusCode);
  }

  get isReplaced(): boolean {
    return this.#state === 'replaced';
  }

  endReplaced(res: PipelineResponse): unknown {
    const body = this.#body;
    const inherited = this.inherited(res, 'end');
    this.#state = 'over';
    // What a middleware writes now is for the response of the app.
    res.write = ignore as PipelineResponse['write'];
    if (body === undefined) return inherited.call(res);
    return typeof body === 'string' ? inherited.call(res, body, 'latin1') : inherited.call(res, body);
  }

  /** @param encoding of a text; a callback may be in its place */
  add(chunk: unknown, encoding: unknown): void {
    if (this.#state !== 'recording' || chunk === undefined || chunk === null) return;
    // A copy: the app may use its buffer again.
    const piece = typeof chunk === 'string' ? bytesOf(chunk, encoding) : Buffer.from(chunk as Uint8Array);
    if (piece.length === 0) return;
    if (!this.#listener.reserve(piece.length)) return void this.lose();
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  ended(): void {
    if (this.#state !== 'recording') return;
    this.#state = 'over';
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#listener.onBody(pieces, this.#bytes);
    this.#listener.release(this.#bytes);
  }

  /** The response is over, or is none that can be stored after all. */
  lose(): void {
    const before = this.#state;
    this.#state = 'over';
    this.#pieces = [];
    if (before === 'recording') this.#listener.release(this.#bytes);
    if (before === 'recording' || before === 'begun') this.#listener.onLost();
  }
}

function onStored(res: PipelineResponse): void {
  (res.recording as Recording).headWritten(res);
}

/** As `write`, of what is not sent. */
const ignore: Method = (_chunk, encoding, callback) => {
  const done = typeof encoding === 'function' ? encoding : callback;
  if (typeof done === 'function') process.nextTick(done as () => void);
  return true;
};

const write: Method = function (chunk, encoding, callback) {
  const recording = this.recording as Recording;
  recording.beforeBody(this);
  if (recording.isReplaced) return ignore.call(this, chunk, encoding, callback);
  const returned = recording.inherited(this, 'write').call(this, chunk, encoding, callback);
  recording.add(chunk, encoding);
  return returned;
};

const end: Method = function (...args) {
  const recording = this.recording as Recording;
  const [chunk, encoding] = typeof args[0] === 'function' ? [] : args;
  const isFirst = !this.writableEnded;
  recording.beforeBody(this, () => setLength(this, chunk, encoding));
  if (recording.isReplaced) return recording.endReplaced(this);
  const returned = recording.inherited(this, 'end').apply(this, args);
  if (isFirst && this.writableEnded && !this.destroyed) {
    recording.add(chunk, encoding);
    recording.ended();
  }
  return returned;
};

/** As Node's `end` does, which finds the head written already if it may be replaced. */
function setLength(res: PipelineResponse, chunk: unknown, encoding: unknown): void {
  const node = res as unknown as { _contentLength: number | null };
  if (chunk === undefined || chunk === null) node._contentLength = 0;
  else if (typeof chunk === 'string') node._contentLength = bytesOf(chunk, encoding).length;
  else if (chunk instanceof Uint8Array) node._contentLength = chunk.byteLength;
}

function bytesOf(text: string, encoding: unknown): Buffer {
  return Buffer.from(text, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}
