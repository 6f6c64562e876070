// Conditional requests (RFC 9110, section 13).
import type { IncomingHttpHeaders } from 'node:http';
import type { Representation } from './representation.js';

type Validators = Pick<Representation, 'etag' | 'modifiedMs' | 'lastModified'>;

/** An entity tag, or an asterisk. */
const entityTags = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** @returns 412 or 304 if that is the answer. The order is that of section 13.2.2 */
export function evaluate(headers: IncomingHttpHeaders, validators: Validators): 304 | 412 | undefined {
  const { etag, modifiedMs } = validators;
  const ifMatch = headers['if-match'];
  const ifUnmodifiedSince = dateOf(headers['if-unmodified-since']);
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, etag, isStronglyEqual)) return 412;
  } else if (ifUnmodifiedSince !== undefined && modifiedMs > ifUnmodifiedSince) return 412;
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag, isWeaklyEqual) ? 304 : undefined;
  const ifModifiedSince = dateOf(headers['if-modified-since']);
  return ifModifiedSince !== undefined && modifiedMs <= ifModifiedSince ? 304 : undefined;
}

/** Whether a range is of the version that the client has (section 13.1.5). */
export function allowsRange(ifRange: string | undefined, { etag, lastModified, modifiedMs }: Validators): boolean {
  if (ifRange === undefined) return true;
  const value = ifRange.trim();
  if (/^(?:W\/)?"/.test(value)) return isStronglyEqual(value, etag);
  // Within a second, a date may name several versions (section 8.8.2.2).
  return value === lastModified && Date.now() - modifiedMs >= 2000;
}

function matches(field: string, etag: string, isEqual: (one: string, other: string) => boolean): boolean {
  if (field.trim() === '*') return true;
  return (field.match(entityTags) ?? []).some((one) => isEqual(one, etag));
}

/** Section 8.8.3.2. */
function isStronglyEqual(one: string, other: string): boolean {
  return one === other && !one.startsWith('W/');
}

function isWeaklyEqual(one: string, other: string): boolean {
  return opaque(one) === opaque(other);
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}

/** The three formats of section 5.6.7. */
const httpDate =
  /^(?:\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT|\w{6,9}, \d{2}-\w{3}-\d{2} \d{2}:\d{2}:\d{2} GMT|\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/;

/** Milliseconds; undefined for what is no date, which is ignored. */
function dateOf(field: string | undefined): number | undefined {
  if (field === undefined || !httpDate.test(field)) return undefined;
  const ms = Date.parse(field.endsWith('GMT') ? field : `${field} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
