// The value of --sticky, which says where sessions are named: `ip`, `cookie:NAME`, `query:NAME` or `header:NAME`.

/** RFC 6265, section 4.1.1, which refers to RFC 9110, section 5.6.2. */
export const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const written = new RegExp(`^(cookie|header):(${token})$|^(query):([\\w.~-]+)$`);

/** Where a session has its name: the client's address, a cookie, a parameter of the query, or a header field. */
export type SessionRule = { readonly by: 'ip' } | NamedSessionRule;
export type NamedSessionRule = { readonly by: 'cookie' | 'query' | 'header'; readonly name: string };

/** Reads `ip`, `cookie:NAME`, `query:NAME` or `header:NAME`. */
export function readSessionRule(text: string): SessionRule | undefined {
  if (text === 'ip') return { by: 'ip' };
  const [, field, fieldName, query, queryName] = written.exec(text) ?? [];
  if (field) return { by: field as 'cookie' | 'header', name: fieldName as string };
  return query ? { by: 'query', name: queryName as string } : undefined;
}

/** Whether a session begins where a client first names it: nothing that a worker has said before is missing then. */
export function isBegunByClients({ by }: SessionRule): boolean {
  return by === 'ip' || by === 'header';
}

export function writeSessionRule(rule: SessionRule): string {
  return rule.by === 'ip' ? 'ip' : `${rule.by}:${rule.name}`;
}
