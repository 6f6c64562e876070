// Whether a response may be stored, and for how long it is fresh (RFC 9111, sections 3 and 4.2; RFC 5861).
// `http-cache-semantics` has the rules. It gets the directives as `directives` reads them, since its own parser minds case
// and takes a comma in quotes for the end of a directive.
import CachePolicy from 'http-cache-semantics';
import { type Directives, readDirectives, secondsOf } from './directives.js';
import type { RequestFacts } from './request-facts.js';
import { fieldOf, type ResponseHead } from './response-head.js';

/** In seconds. */
export interface Freshness {
  readonly lifetime: number;
  /** When the response was made. */
  readonly initialAge: number;
  /** After the lifetime, for so long it may be used while it is validated, or if the app fails. */
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  /** It may not be used without validation, whatever its age (no-cache). */
  readonly needsValidation: boolean;
  /** Once it is stale, not even a client that would take it may get it. */
  readonly forbidsStale: boolean;
  /** It is for clients with credentials, too (Authorization). */
  readonly isForAuthorized: boolean;
}

export interface FreshnessRules {
  /** Milliseconds that a response is fresh which says nothing of that (--cache-ttl). */
  readonly cacheTtl: number;
  /** Responses with Set-Cookie are stored, too. */
  readonly cacheSetCookie: boolean;
}

/** A guess from Last-Modified never lasts longer (seconds). */
const maxGuess = 3600;
const guessedFraction = 0.1;

/** Statuses for which a response may be kept that does not say so (RFC 9110, section 15.1). */
const keptByDefault = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);
/** Those that the package knows besides. */
const known = new Set([...keptByDefault, 302, 303, 307]);
/** Stands for any other status, which needs a lifetime that the app has named. */
const unknownStatus = 302;

/**
 * @param respondedAt milliseconds since 1970
 * @param delay seconds from the request to the response
 * @returns undefined if it may not be stored, or would be of no use
 */
export function freshnessOf(
  facts: RequestFacts,
  head: ResponseHead,
  respondedAt: number,
  delay: number,
  rules: FreshnessRules,
): Freshness | undefined {
  const { status } = head;
  if (status < 200 || status === 206 || status === 304) return undefined;
  const cookie = fieldOf(head, 'set-cookie');
  if (cookie !== undefined && !rules.cacheSetCookie) return undefined;
  const cacheControl = fieldOf(head, 'cache-control');
  const expires = lastOf(head, 'expires');
  const lastModified = fieldOf(head, 'last-modified');
  const pragma = cacheControl === undefined ? fieldOf(head, 'pragma') : undefined;
  const hasValidator = lastModified !== undefined || fieldOf(head, 'etag') !== undefined;
  const saysNothing = cacheControl === undefined && expires === undefined && pragma === undefined;
  // Most responses that are not for caches end here.
  if (saysNothing && !hasValidator && rules.cacheTtl === 0) return undefined;
  // It never ends.
  if (fieldOf(head, 'content-type')?.toLowerCase().startsWith('text/event-stream')) return undefined;
  const directives = readDirectives(cacheControl);
  // A cache that does not know what a status means may not use it (RFC 9111, section 5.2.2.3).
  if (directives.has('must-understand') && !known.has(status)) return undefined;
  if (directives.has('private') || (directives.has('no-store') && !directives.has('must-understand'))) return undefined;

  const ruling = rulingOf(facts, head, directives, { cacheControl, expires, lastModified, pragma });
  if (!ruling.isStorable) return undefined;
  const isNamed = ['s-maxage', 'max-age'].some((name) => directives.has(name)) || expires !== undefined;
  // What a client with a cookie gets may be for it alone, unless the app says that it is for all.
  const isKept = keptByDefault.has(status) || directives.has('public');
  const mayGuess = facts.cookie === undefined && !facts.hasAuthorization && isKept;
  const needsValidation = directives.has('no-cache') || pragma?.toLowerCase().includes('no-cache') === true;
  const ttl = saysNothing && mayGuess && rules.cacheTtl > 0 ? rules.cacheTtl / 1000 : undefined;
  const lifetime = ttl ?? (isNamed ? ruling.maxAge : mayGuess ? Math.min(maxGuess, ruling.maxAge) : 0);
  if (!isNamed && !mayGuess && !needsValidation && !directives.has('public')) return undefined;
  const forbidsStale = needsValidation || directives.has('must-revalidate') || directives.has('proxy-revalidate');
  const grace = (name: string) => (forbidsStale ? 0 : (secondsOf(directives, name) ?? 0));
  const freshness = {
    lifetime: needsValidation ? 0 : lifetime,
    initialAge: initialAge(head, respondedAt, delay),
    staleWhileRevalidate: grace('stale-while-revalidate'),
    staleIfError: grace('stale-if-error'),
    needsValidation,
    forbidsStale: forbidsStale || directives.has('s-maxage'),
    isForAuthorized: ['public', 's-maxage', 'must-revalidate'].some((name) => directives.has(name)),
  };
  return isOfUse(freshness, hasValidator) ? freshness : undefined;
}

function isOfUse(freshness: Freshness, hasValidator: boolean): boolean {
  const { lifetime, initialAge, staleWhileRevalidate, staleIfError } = freshness;
  return hasValidator || lifetime + Math.max(staleWhileRevalidate, staleIfError) > initialAge;
}

/** Fields of the response on which it depends. */
interface Deciding {
  readonly cacheControl: string | undefined;
  readonly expires: string | undefined;
  readonly lastModified: string | undefined;
  readonly pragma: string | undefined;
}

interface Ruling {
  readonly isStorable: boolean;
  /** Seconds. */
  readonly maxAge: number;
}

/** By status, Cache-Control and credentials, if nothing else decides: an app has few of them. */
const rulings = new Map<string, Ruling>();
const maxRulings = 256;

function rulingOf(facts: RequestFacts, head: ResponseHead, directives: Directives, fields: Deciding): Ruling {
  const { expires, lastModified, pragma, cacheControl } = fields;
  const isTimeless = expires === undefined && lastModified === undefined && pragma === undefined;
  if (!isTimeless || facts.cacheControl !== undefined) return ruled(policyOf(facts, head, directives, fields));
  const key = `${head.status} ${facts.hasAuthorization} ${cacheControl}`;
  const known = rulings.get(key);
  if (known) return known;
  const ruling = ruled(policyOf(facts, head, directives, fields));
  if (rulings.size >= maxRulings) rulings.clear();
  rulings.set(key, ruling);
  return ruling;
}

function ruled(policy: CachePolicy): Ruling {
  return { isStorable: policy.storable(), maxAge: policy.maxAge() };
}

function policyOf(facts: RequestFacts, head: ResponseHead, directives: Directives, fields: Deciding): CachePolicy {
  const request = {
    method: 'GET',
    headers: {
      ...(facts.hasAuthorization && { authorization: 'yes' }),
      ...(facts.cacheControl !== undefined && { 'cache-control': written(readDirectives(facts.cacheControl)) }),
    },
  };
  const date = fieldOf(head, 'date');
  const response = {
    status: known.has(head.status) ? head.status : unknownStatus,
    headers: {
      ...(date !== undefined && { date }),
      ...(directives.size > 0 && { 'cache-control': written(directives) }),
      ...(fields.expires !== undefined && { expires: isDate(fields.expires) ? fields.expires : '0' }),
      ...(fields.lastModified !== undefined && { 'last-modified': fields.lastModified }),
      ...(fields.pragma !== undefined && { pragma: fields.pragma }),
    },
  };
  return new CachePolicy(request, response, { cacheHeuristic: guessedFraction, immutableMinTimeToLive: 0 });
}

/** How long something lasts is a number of seconds; other arguments have no meaning for the package. */
const numbers = new Set(['max-age', 's-maxage']);

/** For the package, which would take a response with `proxy-revalidate` for a stale one, and knows no `must-understand`. */
function written(directives: Directives): string {
  const isUnderstood = directives.has('must-understand');
  const seen = [...directives.keys()].filter(
    (name) => name !== 'proxy-revalidate' && !(name === 'no-store' && isUnderstood),
  );
  return seen.map((name) => (numbers.has(name) ? `${name}=${secondsOf(directives, name)}` : name)).join(', ');
}

/** Of a date that is there twice, the last one would be as good as the first; either is older than both. */
function lastOf(head: ResponseHead, name: string): string | undefined {
  return head.fields.findLast((field) => field.name === name)?.value;
}

/** The three forms of a date (RFC 9110, section 5.6.7). `Date.parse` takes much else. */
const dates = [
  /^(mon|tue|wed|thu|fri|sat|sun), \d\d (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) \d{4} \d\d:\d\d:\d\d gmt$/i,
  /^(mon|tues|wednes|thurs|fri|satur|sun)day, \d\d-[a-z]{3}-\d\d \d\d:\d\d:\d\d gmt$/i,
  /^(mon|tue|wed|thu|fri|sat|sun) [a-z]{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/i,
];

export function isDate(text: string): boolean {
  return dates.some((form) => form.test(text));
}

const maxAge = 2 ** 31;

/** Of almost all responses in the same second. */
let lastDate = { text: '', time: Number.NaN };

function timeOf(date: string | undefined): number {
  if (date === undefined) return Number.NaN;
  if (date !== lastDate.text) lastDate = { text: date, time: Date.parse(date) };
  return lastDate.time;
}

/** RFC 9111, section 4.2.3. */
function initialAge(head: ResponseHead, respondedAt: number, delay: number): number {
  const date = timeOf(fieldOf(head, 'date'));
  const apparent = Number.isNaN(date) ? 0 : Math.max(0, Math.floor((respondedAt - date) / 1000));
  const ages = head.fields.flatMap(({ name, value }) => (name === 'age' ? value.split(',') : []));
  if (ages.length === 0) return apparent;
  // Several, or what is no age: another cache is confused.
  return ages.length === 1 && /^\s*\d+\s*$/.test(ages[0] as string)
    ? Math.max(apparent, Number(ages[0]) + delay)
    : maxAge;
}
