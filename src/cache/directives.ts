// The directives of Cache-Control (RFC 9111, section 5.2), by their names in lower case; true for one without an argument.
// Of a directive that is there twice, the first one counts.

export type Directives = ReadonlyMap<string, string | true>;

const none: Directives = new Map();

/** A token, and an argument that is a token or a quoted string. What does not look like that is skipped. */
const directive = /([!#$%&'*+.^`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?[^,]*(?:,|$)/gy;

/** An app has few values of Cache-Control, and so do its clients. */
const recent = new Map<string, Directives>();
const maxRecent = 256;
const maxLength = 256;

export function readDirectives(value: string | undefined): Directives {
  if (value === undefined) return none;
  const known = recent.get(value);
  if (known) return known;
  const directives = parse(value);
  if (value.length > maxLength) return directives;
  if (recent.size >= maxRecent) recent.clear();
  recent.set(value, directives);
  return directives;
}

function parse(value: string): Directives {
  const directives = new Map<string, string | true>();
  for (let at = 0; at < value.length; ) {
    const start = skipSeparators(value, at);
    directive.lastIndex = start;
    const found = directive.exec(value);
    if (!found) {
      const comma = value.indexOf(',', start);
      if (comma < 0) break;
      at = comma + 1;
      continue;
    }
    const [whole, name = '', quoted, token] = found;
    const key = name.toLowerCase();
    if (!directives.has(key)) directives.set(key, quoted ?? token ?? true);
    at = start + whole.length;
  }
  return directives;
}

function skipSeparators(value: string, from: number): number {
  let at = from;
  while (at < value.length && (value[at] === ',' || value[at] === ' ' || value[at] === '\t')) at++;
  return at;
}

/** More than that is as good as for ever (RFC 9111, section 1.2.2). */
const maxSeconds = 2 ** 31;

/** @returns the argument in seconds; 0 if it is no number of seconds; undefined without the directive */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name);
  if (value === undefined) return undefined;
  return value !== true && /^\d+$/.test(value) ? Math.min(maxSeconds, Number(value)) : 0;
}
