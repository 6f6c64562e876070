// Several ranges in one response (RFC 9110, section 14.6).
import type { ByteRange } from './ranges.js';

/** Bytes, or a range of the file. */
export type Piece = Buffer | ByteRange;

export interface Multipart {
  readonly type: string;
  readonly length: number;
  readonly pieces: readonly Piece[];
}

/** @param type the media type of the file. @param size of the whole file */
export function multipart(ranges: readonly ByteRange[], type: string, size: number): Multipart {
  // No file has it but by chance: 2^104 to one.
  const boundary = `${random()}${random()}`;
  const heads = ranges.map(({ start, end }) =>
    Buffer.from(
      `\r\n--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: bytes ${start}-${end - 1}/${size}\r\n\r\n`,
      'latin1',
    ),
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1');
  const pieces = [...ranges.flatMap((range, i) => [heads[i] as Buffer, range]), tail];
  const length = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
  return { type: `multipart/byteranges; boundary=${boundary}`, length, pieces };
}

export function lengthOf(piece: Piece): number {
  return Buffer.isBuffer(piece) ? piece.length : piece.end - piece.start;
}

function random(): string {
  return Math.random().toString(36).slice(2, 13).padEnd(11, '0');
}
