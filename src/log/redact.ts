// --log-redact: replaces the values of query parameters and headers in what is logged. Names are compared without regard
// to case. A URL is any text with a query: a request target, a Referer, or the fingerprint of a request.

export const redacted = '[redacted]';

export interface Redaction {
  /** @returns `text` with the values of the named query parameters replaced */
  text(text: string): string;
  /** @param name in lower case. @returns the value to log */
  header(name: string, value: string): string;
}

const asItIs: Redaction = { text: (text) => text, header: (_, value) => value };

export function redaction(names: readonly string[]): Redaction {
  if (names.length === 0) return asItIs;
  const hidden = new Set(names.map((name) => name.toLowerCase()));
  const text = (text: string): string => {
    const query = text.indexOf('?');
    if (query < 0) return text;
    // A fragment is part of the last value, in case its # is.
    const replaced = text
      .slice(query + 1)
      .replace(/([^&;=\s]+)=([^&;\s]*)/g, (pair, name) => (hidden.has(plain(name)) ? `${name}=${redacted}` : pair));
    return text.slice(0, query + 1) + replaced;
  };
  return { text, header: (name, value) => (hidden.has(name) ? redacted : text(value)) };
}

/** As apps read it: decoded, and without the index of a list or a map, as in `token[0]`. */
function plain(name: string): string {
  let decoded = name;
  try {
    decoded = decodeURIComponent(name);
  } catch {} // an incomplete escape: apps do not decode it either
  return decoded.toLowerCase().replace(/\[.*$/, '');
}
