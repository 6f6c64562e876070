// A connection or response that lasts, in a protocol in which the server can tell its client to connect again. It follows
// what the app writes.

export interface LongLived {
  /**
   * Closes it as soon as the app has completed what it is writing; may be called again.
   * @param isStop the server stops, so that the client has nothing to return to
   * @param answerMs the client has this time to answer, where it must (milliseconds)
   */
  close(isStop: boolean, answerMs: number): void;
}

type Callback = (error?: Error | null) => void;

/** `write` of a stream. */
export type Write<This = unknown> = (
  this: This,
  chunk: unknown,
  encoding?: BufferEncoding | Callback,
  callback?: Callback,
) => boolean;

/** Of a text that the app writes with this second argument. */
export const encodingOf = (encoding: unknown): BufferEncoding =>
  typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';

/** As `write`: drops what the app writes after the server has closed the stream, which the app does not know yet. */
export const ignoreWrite: Write = (_chunk, encoding, callback) => {
  const done = typeof encoding === 'function' ? encoding : callback;
  if (done) process.nextTick(done);
  return true;
};
