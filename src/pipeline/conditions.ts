// Turns the request of a client into the question of the cache, whether what it has stored is still right (RFC 9111, section
// 4.3.1): with its validators in place of the client's conditions, which the cache looks at itself afterwards.
import type { IncomingMessage } from 'node:http';
import type { StoredResponse } from '../cache/stored-response.js';

const conditions = ['if-none-match', 'if-modified-since', 'if-range', 'range'];

export function conditionOn(req: IncomingMessage, { etag, lastModified }: StoredResponse): void {
  const ours: readonly (readonly [name: string, value: string])[] = [
    ...(etag !== undefined ? [['if-none-match', etag] as const] : []),
    ...(lastModified !== undefined ? [['if-modified-since', lastModified] as const] : []),
  ];
  // Node makes both from `rawHeaders` on first access, and counts on its length.
  const { headers, headersDistinct } = req;
  for (const name of conditions) {
    delete headers[name];
    delete headersDistinct[name];
  }
  const kept: string[] = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string;
    if (!conditions.includes(name.toLowerCase())) kept.push(name, req.rawHeaders[i + 1] as string);
  }
  for (const [name, value] of ours) {
    headers[name] = value;
    headersDistinct[name] = [value];
    kept.push(name, value);
  }
  req.rawHeaders = kept;
}
