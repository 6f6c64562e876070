// A request as the bytes that a load without autocannon writes to its connection.
import type { Request } from './job.js';

/** @param headers replace those of the request; all names are in lower case */
export function requestText({ path, method, headers: own, body = '' }: Request, headers: Request['headers'] = {}) {
  const length = String(Buffer.byteLength(body));
  const fields = Object.entries({ host: 'localhost', 'content-length': length, ...own, ...headers });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
