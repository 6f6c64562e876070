// The media type of a file, by its name.
import { lookup } from 'mrmime';
import { isCompressed, isCompressible, withCharset } from '../http/media-type.js';

export interface Media {
  /** For Content-Type. */
  readonly type: string;
  /** Worth compressing. */
  readonly isCompressible: boolean;
  /** May have a compressed file beside it. */
  readonly mayHaveSiblings: boolean;
}

const unknown = 'application/octet-stream';

export function mediaOf(name: string): Media {
  const base = name.slice(name.lastIndexOf('/') + 1);
  const type = (base.includes('.') ? lookup(base) : undefined) ?? unknown;
  return { type: withCharset(type), isCompressible: isCompressible(type), mayHaveSiblings: !isCompressed(type) };
}
