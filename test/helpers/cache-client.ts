// Requests to a cache, one after the other, as a test writes them.
import { once } from 'node:events';
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export async function ask(
  url: string,
  headers: OutgoingHttpHeaders = {},
  { method = 'GET', agent }: { readonly method?: string; readonly agent?: Agent } = {},
): Promise<Answered> {
  const sent = request(url, { method, headers, maxHeaderSize: 65_536, ...(agent && { agent }) });
  sent.end();
  const [response] = await once(sent, 'response');
  let body = '';
  for await (const piece of response.setEncoding('latin1')) body += piece;
  return { status: response.statusCode, headers: response.headers, body };
}

/** What the cache says that it has done: `hit`, or `fwd=…`. */
export function cacheStatus({ headers }: Answered): string {
  return String(headers['cache-status']).split('; ')[1] ?? '';
}
