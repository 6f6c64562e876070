// A stored response as bytes, for stores that other processes read. What is read there may be damaged, or be of another key.
import { crc32 } from 'node:zlib';
import type { Freshness } from './freshness.js';
import { readHead } from './response-head.js';
import type { Selecting } from './selecting.js';
import { type Body, StoredResponse } from './stored-response.js';

/** Of this layout: another version of mpserve may have written to the same store. */
const version = 0x4d504301;

/** Four words: the version, the lengths of the description and of the body, and a checksum of both. */
const headBytes = 16;

interface Description {
  readonly key: string;
  readonly status: number;
  readonly message: string;
  readonly head: string;
  readonly freshness: Freshness;
  readonly selecting: Selecting;
  readonly storedAt: number;
  readonly requestedAt: number;
  /** The body is text of one byte a character. */
  readonly isText: boolean;
}

/** @param shift milliseconds from the clock of the response (`clock.ts`) to that of the store */
export function pack(key: string, response: StoredResponse, shift = 0): Buffer {
  const { head, body, freshness, selecting, storedAt, requestedAt } = response.parts;
  const description: Description = {
    key,
    status: head.status,
    message: head.message,
    head: head.text,
    freshness,
    // An absent header is not one that is empty, and JSON has no `undefined`.
    selecting: selecting.map(([name, value]) => (value === undefined ? [name] : [name, value])) as unknown as Selecting,
    storedAt: storedAt + shift,
    requestedAt: requestedAt + shift,
    isText: typeof body === 'string',
  };
  const text = JSON.stringify(description);
  const textBytes = Buffer.byteLength(text);
  const bodyAt = headBytes + textBytes;
  const bytes = Buffer.allocUnsafe(bodyAt + body.length);
  bytes.writeUInt32LE(version, 0);
  bytes.writeUInt32LE(textBytes, 4);
  bytes.writeUInt32LE(body.length, 8);
  bytes.write(text, headBytes);
  if (typeof body === 'string') bytes.write(body, bodyAt, 'latin1');
  else body.copy(bytes, bodyAt);
  bytes.writeUInt32LE(crc32(bytes.subarray(headBytes)), 12);
  return bytes;
}

/**
 * @param bytes of the caller alone: the body is a part of them. @param shift as of `pack`
 * @returns undefined if they are no response for this key
 */
export function unpack(key: string, bytes: Buffer, shift = 0): StoredResponse | undefined {
  if (bytes.length < headBytes || bytes.readUInt32LE(0) !== version) return undefined;
  const textBytes = bytes.readUInt32LE(4);
  const bodyBytes = bytes.readUInt32LE(8);
  const bodyAt = headBytes + textBytes;
  if (bodyAt + bodyBytes !== bytes.length || crc32(bytes.subarray(headBytes)) !== bytes.readUInt32LE(12))
    return undefined;
  const found = describe(bytes.toString('utf8', headBytes, bodyAt));
  if (found?.key !== key) return undefined;
  const { status, message, head, freshness, selecting, storedAt, requestedAt, isText } = found;
  const body: Body = isText ? bytes.toString('latin1', bodyAt) : bytes.subarray(bodyAt);
  return new StoredResponse({
    head: readHead(head, status, message),
    body,
    freshness,
    selecting: selecting.map(([name, value]) => [name, value]),
    storedAt: storedAt - shift,
    requestedAt: requestedAt - shift,
  });
}

function describe(text: string): Description | undefined {
  try {
    const { key, status, message, head, freshness, selecting, storedAt, requestedAt, isText } = JSON.parse(text);
    const isWhole =
      [key, message, head].every((one) => typeof one === 'string') &&
      [status, storedAt, requestedAt, freshness.lifetime, freshness.initialAge].every(Number.isFinite) &&
      Array.isArray(selecting);
    return isWhole ? { key, status, message, head, freshness, selecting, storedAt, requestedAt, isText } : undefined;
  } catch {
    return undefined;
  }
}
