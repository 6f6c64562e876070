// What a request's headers mean for a cache, read in one pass: most requests have none of these headers, and Node builds
// `headers` on first access, which would take longer than to answer from memory.

/** As the client has sent them. */
export interface RequestFacts {
  /** Names the response in the cache, with all that often chooses it without being in Vary. */
  readonly key: string;
  readonly cacheControl: string | undefined;
  readonly pragma: string | undefined;
  readonly cookie: string | undefined;
  readonly hasAuthorization: boolean;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly ifRange: string | undefined;
  readonly range: string | undefined;
  /** None of the headers above but `cookie`: a fresh response is the answer. */
  readonly isPlain: boolean;
  /** Only the app can answer it: it has a body, a precondition for changes, or a header that makes it another request. */
  readonly isForApp: boolean;
}

/** Proxies and frameworks take these for another method or target. They would store a response under the wrong name. */
const overriding = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
]);

/** Frameworks make links and redirects from these, so each value has its own responses. */
const forwarded = new Set([
  'front-end-https',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-host',
  'x-http-host-override',
]);

/** Those of Forwarded that say as much (RFC 7239); the others are of each client. */
const forwardedParameters = /(?:host|proto)=[^;,]*/gi;

class Facts implements RequestFacts {
  key = '';
  host: string | undefined = undefined;
  cacheControl: string | undefined = undefined;
  pragma: string | undefined = undefined;
  cookie: string | undefined = undefined;
  hasAuthorization = false;
  ifNoneMatch: string | undefined = undefined;
  ifModifiedSince: string | undefined = undefined;
  ifRange: string | undefined = undefined;
  range: string | undefined = undefined;
  isPlain = true;
  isForApp = false;
}

/** @param url in origin form */
export function readFacts(url: string, rawHeaders: readonly string[]): RequestFacts {
  const facts = new Facts();
  let also = '';
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (!isOfInterest(name)) continue;
    const lower = name.toLowerCase();
    const value = rawHeaders[i + 1] as string;
    if (lower === 'forwarded') also += `\n${value.match(forwardedParameters)?.join() ?? ''}`;
    else if (forwarded.has(lower)) also += `\n${lower}: ${value}`;
    else note(facts, lower, value);
  }
  facts.key = `${facts.host ?? ''}\n${url}${also}`;
  return facts;
}

/** Length and first character tell most of the other headers without a comparison. */
function isOfInterest(name: string): boolean {
  const first = name.charCodeAt(0) | 0x20;
  switch (name.length) {
    case 4: // host
      return first === 0x68;
    case 5: // range
      return first === 0x72;
    case 6: // cookie, pragma, x-host
      return first === 0x63 || first === 0x70 || first === 0x78;
    case 8: // if-match, if-range
    case 19: // if-unmodified-since
      return first === 0x69;
    case 9: // forwarded
    case 15: // front-end-https, x-forwarded-ssl
      return first === 0x66 || first === 0x78;
    case 13: // authorization, cache-control, if-none-match, x-http-method, x-rewrite-url
    case 14: // content-length, x-original-url
    case 16: // x-forwarded-host, x-forwarded-port
    case 17: // if-modified-since, transfer-encoding, x-forwarded-proto, x-method-override
      return true;
    case 18: // x-forwarded-prefix, x-forwarded-scheme, x-forwarded-server
    case 20: // x-http-host-override
    case 22: // x-http-method-override
      return first === 0x78;
    default:
      return false;
  }
}

function note(facts: Facts, name: string, value: string): void {
  switch (name) {
    case 'host':
      if (facts.host !== undefined) facts.isForApp = true; // the app may take either
      facts.host = value.toLowerCase();
      return;
    case 'cookie':
      facts.cookie = facts.cookie === undefined ? value : `${facts.cookie}; ${value}`;
      return;
    case 'content-length':
      if (Number(value) > 0) facts.isForApp = true;
      return;
    case 'transfer-encoding':
    case 'if-match':
    case 'if-unmodified-since':
      facts.isForApp = true;
      return;
    case 'cache-control':
      facts.cacheControl = joined(facts.cacheControl, value);
      break;
    case 'pragma':
      facts.pragma = joined(facts.pragma, value);
      break;
    case 'authorization':
      facts.hasAuthorization = true;
      break;
    case 'if-none-match':
      facts.ifNoneMatch = joined(facts.ifNoneMatch, value);
      break;
    case 'if-modified-since':
      facts.ifModifiedSince ??= value;
      break;
    case 'if-range':
      facts.ifRange ??= value;
      break;
    case 'range':
      facts.range = joined(facts.range, value);
      break;
    default:
      if (overriding.has(name)) facts.isForApp = true;
      return;
  }
  facts.isPlain = false;
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/** All values of a header, as one. @param wanted in lower case */
export function headerOf(rawHeaders: readonly string[], wanted: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === wanted.length && name.toLowerCase() === wanted)
      found = joined(found, rawHeaders[i + 1] as string);
  }
  return found;
}

/** @returns whether the request has one of the cookies */
export function hasCookie(cookie: string | undefined, names: readonly string[]): boolean {
  if (cookie === undefined || names.length === 0) return false;
  return cookie.split(';').some((pair) => names.includes((pair.split('=', 1)[0] as string).trim()));
}
