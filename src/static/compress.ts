// Compresses bytes, a few at a time: the threads that do it also read files.
import zlib from 'node:zlib';
import type { Coding } from '../http/coding-name.js';

/** Ones that are no larger are hardly faster to send (bytes). */
export const maxUncompressedSize = 1024;
/** What compression has to save. */
const minSaving = 0.05;
const maxAtOnce = 2;
const brotliQuality = 5;

type Compress = (bytes: Buffer) => Promise<Buffer>;
type Done = (error: Error | null, result: Buffer) => void;

const { zstdCompress } = zlib as { zstdCompress?: (bytes: Buffer, done: Done) => void };

const compressors: Readonly<Record<Coding, Compress | undefined>> = {
  br: (bytes) => {
    const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_SIZE_HINT: hint } = zlib.constants;
    const params = { [quality]: brotliQuality, [hint]: bytes.length };
    return called((done) => zlib.brotliCompress(bytes, { params }, done));
  },
  zstd: zstdCompress && ((bytes) => called((done) => zstdCompress(bytes, done))), // from Node 22.15 on
  gzip: (bytes) => called((done) => zlib.gzip(bytes, done)),
};

const libraries = { br: 'brotli', zstd: 'zstd', gzip: 'zlib' } as const;

/** Without characters that have a meaning in an entity tag. */
export function compressorVersion(coding: Coding): string {
  return String(process.versions[libraries[coding]]).replace(/[^\w.]/g, '_');
}

let running = 0;
const waiting: (() => void)[] = [];

/** @returns undefined if that saves too little */
export async function compress(bytes: Buffer, coding: Coding): Promise<Buffer | undefined> {
  if (running >= maxAtOnce) await new Promise<void>((next) => waiting.push(next));
  else running++;
  try {
    const result = await compressors[coding]?.(bytes);
    return result && result.length <= bytes.length * (1 - minSaving) ? result : undefined;
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

function called(call: (done: Done) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result)));
  });
}
