// One form of a file that a client can get: its bytes, or those of a compressed file, with their validators and headers
// (RFC 9110, sections 3.2 and 8).
import type { Coding } from '../http/coding-name.js';
import type { FileStat } from './file.js';
import type { Media } from './media.js';

export interface Representation {
  readonly size: number;
  /** A strong validator: other bytes have another one. */
  readonly etag: string;
  readonly lastModified: string;
  /** Milliseconds, without a fraction of a second. */
  readonly modifiedMs: number;
  /** undefined if it is read from its file for each request. */
  readonly bytes: Buffer | undefined;
  /** The same, if it is small: Node sends it with the head in one write, which takes less time. */
  readonly text: string | undefined;
  /** The path in the root, and the version, of the file that has the bytes. */
  readonly name: string;
  readonly version: FileStat;
  /** Those of a 304, in a flat list. */
  readonly validators: readonly string[];
  /** Those of a 200. */
  readonly headers: readonly string[];
  /** The same as lines, without the length, which Node adds: it need not check them for each response. */
  readonly lines: string;
}

export interface RepresentationFacts {
  readonly name: string;
  readonly version: FileStat;
  readonly media: Media;
  readonly cacheControl: string;
  readonly bytes?: Buffer | undefined;
  /** Tells versions of the same time and size apart. */
  readonly checksum?: number | undefined;
  readonly coding?: Coding | undefined;
  /** The version of what has compressed it, if that was the server: another one may make other bytes. */
  readonly madeBy?: string | undefined;
}

/** Longer ones take more time to convert than the second write would. */
const maxTextSize = 16 * 1024;

export function representation(facts: RepresentationFacts): Representation {
  const { name, version, media, cacheControl, bytes, coding } = facts;
  const size = bytes?.length ?? version.size;
  // Never in the future (RFC 9110, section 8.8.2.1).
  const modifiedMs = Math.min(Number(version.mtimeNs / 1_000_000_000n), Math.floor(Date.now() / 1000)) * 1000;
  const lastModified = new Date(modifiedMs).toUTCString();
  const etag = etagOf(facts);
  const validators = ['etag', etag, 'last-modified', lastModified, 'cache-control', cacheControl];
  if (media.mayHaveSiblings) validators.push('vary', 'accept-encoding');
  const others = ['content-type', media.type, 'accept-ranges', 'bytes', ...validators];
  if (coding) others.push('content-encoding', coding);
  const headers = [...others, 'content-length', String(size)];
  const lines = linesOf(others);
  const text = bytes && bytes.length <= maxTextSize ? bytes.toString('latin1') : undefined;
  return { size, etag, lastModified, modifiedMs, bytes, text, name, version, validators, headers, lines };
}

function linesOf(fields: readonly string[]): string {
  return fields.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
}

function etagOf({ version, checksum, coding, madeBy }: RepresentationFacts): string {
  // Without a checksum the file itself, as builds give all files the same time; servers of copies then have other tags.
  const parts = [version.size.toString(36), version.mtimeNs.toString(36), (checksum ?? version.ino).toString(36)];
  if (coding) parts.push(coding);
  if (madeBy !== undefined) parts.push(madeBy);
  return `"${parts.join('-')}"`;
}
