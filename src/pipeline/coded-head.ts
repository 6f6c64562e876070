// The head of a response that may be compressed: what it says of the body, and the head that says that the body is compressed.

import { isHeader } from '../http/header.js';
import { isCompressible } from '../http/media-type.js';
import type { Headers, PipelineResponse } from './response.js';

/** Smaller bodies are hardly faster to send (bytes). */
export const minBodyBytes = 1024;

/** Of a response whose body could be compressed, for a client that accepts it. */
export interface CompressibleHead {
  /** Content-Length, as the app has set it. */
  readonly declared: number | undefined;
}

class Facts implements CompressibleHead {
  declared: number | undefined = undefined;
  type: string | undefined = undefined;
  etag: string | undefined = undefined;
  /** Vary has Accept-Encoding, or says that every request is different. */
  varies = false;
  /** A field says that the body is to stay as it is. */
  isFixed = false;
}

/** They are of the bytes that the app writes; a part has no length of its own. */
const fixing = ['content-encoding', 'content-range', 'content-md5', 'digest', 'content-digest', 'repr-digest'];

/**
 * Adds `Vary: Accept-Encoding` to the head of a response that could be compressed, whether it is or not.
 * @param headers that Node is about to write
 */
export function compressibleHead(
  res: PipelineResponse,
  headers: Headers | null | undefined,
): CompressibleHead | undefined {
  const { statusCode } = res;
  if (!mayHaveCoding(statusCode) || !headers || res.strictContentLength) return undefined;
  const facts = factsOf(res, headers);
  if (facts.isFixed || facts.type === undefined || !isText(facts.type)) return undefined;
  const bytes = facts.declared ?? lengthAtEnd(res);
  if (bytes !== undefined && bytes < minBodyBytes) return undefined;
  vary(res, facts);
  return facts;
}

/** Of a body that `end` has as a whole; undefined if it is not known yet, as for a HEAD that is answered without one. */
function lengthAtEnd(res: PipelineResponse): number | undefined {
  const { _contentLength: length } = res as { _contentLength?: number | null };
  return length === null || (length === 0 && res.reqMethod === 'HEAD') ? undefined : length;
}

/**
 * Of a 304. Its entity tag is the one of the response that the client has: weak if the server compressed that.
 * @returns the headers to write
 */
export function notModifiedHead(
  res: PipelineResponse,
  headers: Headers | null | undefined,
): Headers | null | undefined {
  if (!headers) return headers;
  const facts = factsOf(res, headers);
  if (facts.isFixed || (facts.type !== undefined && !isText(facts.type))) return headers;
  vary(res, facts);
  const { etag } = facts;
  if (etag === undefined || isWeak(etag) || !res.req.headers['if-none-match']?.includes(`W/${etag}`)) return headers;
  return edited(res, headers, (name, value) => (isHeader(name, 'etag') ? `W/${etag}` : value)) as Headers;
}

/** @returns the headers of the compressed response; Node adds those of its length */
export function codedHead(res: PipelineResponse, headers: Headers, coding: string): Headers {
  const list = edited(res, headers, (name, value) => {
    if (isHeader(name, 'etag')) return isWeak(String(value)) ? value : `W/${value}`;
    // The ranges of the app are those of the plain bytes.
    return isHeader(name, 'content-length') || isHeader(name, 'accept-ranges') ? undefined : value;
  });
  list.push('content-encoding', coding);
  return list as Headers;
}

/** Statuses with a whole body that is for the client to show or use: redirects have next to none. */
function mayHaveCoding(status: number): boolean {
  return (status >= 200 && status < 204) || (status > 206 && status < 300) || status >= 400;
}

/** By the values of Content-Type that were seen lately: an app has few. */
const known = new Map<string, boolean>();
const maxKnown = 100;
const maxKnownLength = 100;

function isText(type: string): boolean {
  const before = known.get(type);
  if (before !== undefined) return before;
  const is = isTextType(type);
  if (type.length > maxKnownLength) return is;
  if (known.size >= maxKnown) known.clear();
  known.set(type, is);
  return is;
}

/**
 * Event streams stay as they are: each would keep a compressor for as long as it lasts, and a drain could not end it between two
 * events.
 */
function isTextType(type: string): boolean {
  const end = type.indexOf(';');
  const name = (end < 0 ? type : type.slice(0, end)).trim().toLowerCase();
  return name !== 'text/event-stream' && isCompressible(name);
}

function isWeak(etag: string): boolean {
  return etag.startsWith('W/');
}

const varyLine = 'vary: accept-encoding\r\n';

function vary(res: PipelineResponse, { varies }: Facts): void {
  if (!varies) res.fieldLines = res.fieldLines === undefined ? varyLine : res.fieldLines + varyLine;
}

function factsOf(res: PipelineResponse, headers: Headers): Facts {
  const facts = new Facts();
  if (Array.isArray(headers)) eachInList(headers, (name, value) => note(facts, name, value));
  else {
    const object = headers as Readonly<Record<string, Value>>;
    if (hasStored(res, object)) {
      for (const name of noted) if (object[name]) note(facts, name, (object as Stored)[name]?.[1]);
    } else for (const name in object) note(facts, name, object[name]);
  }
  return facts;
}

function note(facts: Facts, name: string, value: Value): void {
  switch (name.length) {
    case 4:
      if (isHeader(name, 'etag')) facts.etag = String(value);
      else if (isHeader(name, 'vary')) facts.varies ||= ofEncoding.test(String(value));
      return;
    case 12:
      if (isHeader(name, 'content-type')) facts.type = String(value);
      return;
    case 13:
      if (isHeader(name, 'cache-control')) facts.isFixed ||= /no-transform/i.test(String(value));
      else facts.isFixed ||= isHeader(name, 'content-range');
      return;
    case 14:
      if (isHeader(name, 'content-length')) facts.declared = Number(value);
      else facts.isFixed ||= isHeader(name, 'content-digest');
      return;
    case 17:
      if (isHeader(name, 'transfer-encoding')) facts.isFixed ||= !/^chunked$/i.test(String(value));
      return;
    default:
      facts.isFixed ||= fixing.some((one) => isHeader(name, one));
  }
}

/** Those that say something of the body. */
const noted = ['etag', 'vary', 'content-type', 'cache-control', 'content-length', 'transfer-encoding', ...fixing];

const ofEncoding = /(?:^|[\s,])(?:accept-encoding|\*)(?:$|[\s,])/i;

type Value = unknown;

/** @param change returns what becomes of the value; undefined leaves the field out. @returns names and values in turn */
function edited(res: PipelineResponse, headers: Headers, change: (name: string, value: Value) => Value): Value[] {
  const list: Value[] = [];
  const add = (name: string, value: Value): void => {
    const changed = change(name, value);
    if (changed !== undefined) list.push(name, changed);
  };
  if (Array.isArray(headers)) eachInList(headers, add);
  else {
    const object = headers as Readonly<Record<string, Value>>;
    const all = hasStored(res, object) ? Object.values(object as Stored) : Object.entries(object);
    for (const [name, value] of all) add(name, value);
  }
  return list;
}

/** As Node has what `setHeader` is given: by names in lower case. */
type Stored = Readonly<Record<string, readonly [name: string, value: Value]>>;

/** `setHeader` has been called: then all headers are in that form. */
function hasStored(res: PipelineResponse, headers: Readonly<Record<string, Value>>): boolean {
  // Most often the first value tells, and what is asked otherwise makes a list.
  for (const name in headers) return Array.isArray(headers[name]) && res.getHeaderNames().length > 0;
  return false;
}

/** The forms of a list that `writeHead` takes. */
function eachInList(headers: readonly unknown[], call: (name: string, value: Value) => void): void {
  if (Array.isArray(headers[0])) for (const [name, value] of headers as readonly unknown[][]) call(String(name), value);
  else for (let i = 0; i < headers.length; i += 2) call(String(headers[i]), headers[i + 1]);
}
