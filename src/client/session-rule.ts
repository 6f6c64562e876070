// The value of --sticky, which says where sessions are named: `ip`, `cookie:NAME` or `query:NAME`.

/** RFC 6265, section 4.1.1, which refers to RFC 9110, section 5.6.2. */
export const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const written = new RegExp(`^(cookie):(${token})$|^(query):([\\w.~-]+)$`);

/** Where a session has its name: the client's address, a cookie, or a parameter of the query. */
export type SessionRule = { readonly by: 'ip' } | { readonly by: 'cookie' | 'query'; readonly name: string };

/** Reads `ip`, `cookie:NAME` or `query:NAME`. */
export function readSessionRule(text: string): SessionRule | undefined {
  if (text === 'ip') return { by: 'ip' };
  const [, cookie, cookieName, query, queryName] = written.exec(text) ?? [];
  if (cookie) return { by: 'cookie', name: cookieName as string };
  return query ? { by: 'query', name: queryName as string } : undefined;
}

export function writeSessionRule(rule: SessionRule): string {
  return rule.by === 'ip' ? 'ip' : `${rule.by}:${rule.name}`;
}
