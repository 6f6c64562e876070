// Reads the path of a request target. What it returns names nothing outside of a directory, and no dotfile.

/** Names segments without a dot in front, of characters that need no decoding. */
const plainPath = /^(?:\/[\w~-][\w.~-]*)+\/?$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const refusedCharacter = /[\\\u0001-\u001f\u007f]/;

/** A status (400, 403, 404) where the target is not the path of a file. */
export type Target = string | 400 | 403 | 404;

/** @returns the decoded path without the query: `/`, `/a b/c`, `/a/` */
export function pathOf(target: string): Target {
  const query = target.indexOf('?');
  const text = query < 0 ? target : target.slice(0, query);
  if (plainPath.test(text) || text === '/') return text;
  if (text.startsWith('/')) return decode(text);
  // A target may be an absolute URL (RFC 9112, section 3.2.2).
  return /^https?:\/\//i.test(target) && URL.canParse(target) ? decode(new URL(target).pathname) : 400;
}

/** The query with its question mark; empty without one. */
export function queryOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? '' : target.slice(query);
}

/** A path for `Location`: never the start of another host's URL. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** Decodes each segment once and by itself, so that no encoded character has a meaning for the path. */
function decode(text: string): Target {
  let path = '';
  let refusal: 403 | 404 | undefined;
  for (const encoded of text.split('/')) {
    if (encoded === '') continue;
    let segment: string;
    try {
      segment = decodeURIComponent(encoded); // refuses overlong UTF-8 as well
    } catch {
      return 400;
    }
    if (segment.includes('\0')) return 400;
    if (/(?:^|[/\\])\.\.(?:$|[/\\])/.test(segment)) refusal = 403;
    else if (segment.includes('/') || refusedCharacter.test(segment) || isHidden(segment, path === '')) refusal ??= 404;
    path += `/${segment}`;
  }
  return refusal ?? (path === '' || text.endsWith('/') ? `${path}/` : path);
}

/** `/.well-known/` is for clients (RFC 8615). */
export function isHidden(name: string, isFirst: boolean): boolean {
  return name.startsWith('.') && !(isFirst && name === '.well-known');
}
