// Sends parts of an open file: reads ahead while the client takes what has been read. It never completes a response with
// bytes of two versions.
import type { ServerResponse } from 'node:http';
import type { OpenFile } from './file.js';
import { lengthOf, type Piece } from './multipart.js';

/** Read at once; a response has two buffers of this size (bytes). */
const chunkSize = 128 * 1024;

/** Those of responses that are over: the system has to clear new memory first, which takes as long as reading. */
const spareBuffers: Buffer[] = [];
const maxSpareBuffers = 16;

/** The file is not the one any more of which the head tells. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged';
}

/**
 * Settles when all has been sent, or the client has gone.
 * @param writeHead is called before the first byte is sent, and not if the file has changed by then
 * @throws FileChanged; if the head has been sent, the caller has to cut the connection
 */
export async function sendFile(
  res: ServerResponse,
  file: OpenFile,
  pieces: readonly Piece[],
  writeHead: () => void,
): Promise<void> {
  const chunks = inChunks(pieces);
  const buffers: Buffer[] = [];
  const read = async (chunk: Piece, i: number): Promise<Buffer> => {
    if (Buffer.isBuffer(chunk)) return chunk;
    buffers[i % 2] ??= spareBuffers.pop() ?? Buffer.allocUnsafeSlow(chunkSize);
    const bytes = (buffers[i % 2] as Buffer).subarray(0, lengthOf(chunk));
    const count = await file.read(bytes, chunk.start);
    if (count < bytes.length) throw new FileChanged('the file was truncated while it was sent');
    return bytes;
  };
  /** Settles when the chunk before has left, and its buffer is free. */
  let sent = Promise.resolve(true);
  let reading = read(chunks.next().value as Piece, 0);
  for (let i = 0; ; i++) {
    const bytes = await reading;
    const { value: next } = chunks.next();
    if (!next && !file.isUnchanged()) throw new FileChanged('the file changed while it was sent');
    if (i === 0) writeHead();
    const sending = write(res, bytes, !next);
    if (!(await sent)) return;
    if (!next) {
      if (await sending) spareBuffers.push(...buffers.splice(0, maxSpareBuffers - spareBuffers.length));
      return;
    }
    sent = sending;
    reading = read(next, i + 1);
  }
}

function* inChunks(pieces: readonly Piece[]): Generator<Piece, undefined> {
  for (const piece of pieces) {
    if (Buffer.isBuffer(piece)) yield piece;
    else
      for (let start = piece.start; start < piece.end; start += chunkSize)
        yield { start, end: Math.min(start + chunkSize, piece.end) };
  }
}

/** @returns whether the client has not gone */
function write(res: ServerResponse, bytes: Buffer, isLast: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const gone = (): void => resolve(false);
    const done = (error?: Error | null): void => {
      res.off('close', gone);
      resolve(!error && !res.destroyed);
    };
    res.once('close', gone);
    if (res.destroyed) gone();
    else if (isLast) res.end(bytes, () => done());
    else res.write(bytes, done);
  });
}
