// What a client gets of a stored response: all of it, nothing (304), or a part (206), as its request says (RFC 9110,
// sections 13 and 14).
import { isDate } from './freshness.js';
import type { RequestFacts } from './request-facts.js';
import type { Body, StoredResponse } from './stored-response.js';

export interface Answer {
  readonly status: number;
  /** The reason phrase; undefined for that of Node. */
  readonly message: string | undefined;
  /** Fields, each with CR LF, without Content-Length. */
  readonly text: string;
  /** undefined for a status that has none. */
  readonly body: Body | undefined;
}

/** @param status of the cache, for the field Cache-Status. @param time of `clock.ts` */
export function answerOf(stored: StoredResponse, facts: RequestFacts, time: number, status: string): Answer {
  const own = `age: ${Math.floor(stored.ageAt(time))}\r\ncache-status: mpserve; ${status}\r\n`;
  if (isNotModified(stored, facts)) {
    return { status: 304, message: undefined, text: stored.notModifiedText + own, body: undefined };
  }
  const range = rangeOf(stored, facts);
  if (range === 'unsatisfiable') {
    const text = `content-range: bytes */${stored.bodyBytes}\r\ncache-status: mpserve; ${status}\r\n`;
    return { status: 416, message: undefined, text, body: '' };
  }
  if (range) {
    const text = `${stored.text}content-range: bytes ${range.first}-${range.last}/${stored.bodyBytes}\r\n${own}`;
    return { status: 206, message: undefined, text, body: partOf(stored.body, range) };
  }
  const { status: code, message } = stored;
  return { status: code, message, text: stored.text + own, body: hasNoBody(code) ? undefined : stored.body };
}

export function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}

/** RFC 9110, section 13.2.2: If-Modified-Since counts only without If-None-Match. */
function isNotModified({ status, etag, lastModified, fields }: StoredResponse, facts: RequestFacts): boolean {
  const { ifNoneMatch, ifModifiedSince } = facts;
  if (status !== 200) return false;
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch.trim() === '*') return true;
    return etag !== undefined && (ifNoneMatch.match(entityTag) ?? []).some((tag) => opaque(tag) === opaque(etag));
  }
  if (ifModifiedSince === undefined || !isDate(ifModifiedSince)) return false;
  // RFC 9111, section 4.3.2: without Last-Modified, when the response was made.
  const modified = lastModified ?? fields.find(({ name }) => name === 'date')?.value ?? '';
  return Date.parse(modified) <= Date.parse(ifModifiedSince);
}

const entityTag = /(?:W\/)?"[^"]*"/g;

/** For a weak comparison. */
function opaque(tag: string): string {
  return tag.replace(/^W\//, '');
}

interface Range {
  readonly first: number;
  readonly last: number;
}

/** @returns undefined for the whole: several ranges are no reason to make a body of many parts (section 14.2) */
function rangeOf(stored: StoredResponse, { range, ifRange }: RequestFacts): Range | 'unsatisfiable' | undefined {
  if (range === undefined || stored.status !== 200 || !mayDivide(stored) || !isSameVersion(stored, ifRange))
    return undefined;
  const [, from = '', to = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range) ?? [];
  const length = stored.bodyBytes;
  if (from === '' && to === '') return undefined;
  if (from === '') {
    const suffix = Number(to);
    return suffix === 0 || length === 0 ? 'unsatisfiable' : { first: Math.max(0, length - suffix), last: length - 1 };
  }
  const first = Number(from);
  const last = to === '' ? length - 1 : Math.min(Number(to), length - 1);
  if (to !== '' && Number(to) < first) return undefined; // no valid range
  return first >= length ? 'unsatisfiable' : { first, last };
}

function mayDivide({ fields }: StoredResponse): boolean {
  return !fields.some(({ name, value }) => name === 'accept-ranges' && value.toLowerCase() === 'none');
}

/** Only strong validators do (section 13.1.5). */
function isSameVersion({ etag, lastModified }: StoredResponse, ifRange: string | undefined): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.startsWith('"')) return ifRange === etag;
  return isDate(ifRange) && ifRange === lastModified;
}

function partOf(body: Body, { first, last }: Range): Body {
  return typeof body === 'string' ? body.slice(first, last + 1) : body.subarray(first, last + 1);
}
