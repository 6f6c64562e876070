// What compresses, with the settings that are a good trade of time and size for bodies that are made for one response.
import { availableParallelism } from 'node:os';
import zlib from 'node:zlib';
import type { Coding } from '../http/coding-name.js';

/** Has at once what `flush` asks for. */
export type Compressor = zlib.Gzip | zlib.BrotliCompress;

const gzipLevel = 6;
const brotliQuality = 4;
const zstdLevel = 3;

/** At the same time in an event loop: each takes 1 to 6 MB of memory. */
export const maxCompressors = Math.min(32, 4 * availableParallelism());

const { constants } = zlib;

interface Zstd {
  createZstdCompress(options: object): Compressor;
  zstdCompressSync(bytes: Uint8Array, options: object): Buffer;
}

/** From Node 22.15 and 23.8 on. */
const zstd = zlib as unknown as Zstd;
const zstdConstants = constants as unknown as Readonly<Record<string, number>>;
const zstdOptions = { params: { [zstdConstants.ZSTD_c_compressionLevel ?? 100]: zstdLevel } };

interface Maker {
  whole(bytes: Uint8Array): Buffer;
  stream(): Compressor;
  /** For `flush`: a decoder has all that was written, and what comes then uses what was before. */
  readonly flushKind: number | undefined;
}

const makers: Readonly<Record<Coding, Maker>> = {
  br: {
    whole: (bytes) => zlib.brotliCompressSync(bytes, brotliOptions(bytes.length)),
    stream: () => zlib.createBrotliCompress(brotliOptions()),
    flushKind: constants.BROTLI_OPERATION_FLUSH,
  },
  zstd: {
    whole: (bytes) => zstd.zstdCompressSync(bytes, zstdOptions),
    stream: () => zstd.createZstdCompress(zstdOptions),
    flushKind: zstdConstants.ZSTD_e_flush,
  },
  gzip: {
    whole: (bytes) => zlib.gzipSync(bytes, { level: gzipLevel }),
    stream: () => zlib.createGzip({ level: gzipLevel }),
    flushKind: constants.Z_SYNC_FLUSH,
  },
};

function brotliOptions(bytes = 0): zlib.BrotliOptions {
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_SIZE_HINT: hint } = constants;
  return { params: { [quality]: brotliQuality, [hint]: bytes } };
}

export function makerOf(coding: Coding): Maker {
  return makers[coding];
}
