// The request id in log lines and responses: the client's `x-request-id` if it is valid, or else a new one.
import type { IncomingMessage } from 'node:http';
import { isHeader } from '../http/header.js';
import { idHeader } from './response.js';

/** No character with a meaning in a header, a log line or HTML; long enough for a W3C trace context. */
const validId = /^[\w.:+/=@-]{1,128}$/;

/** @returns a function that returns the id of a request; ids of different pipelines differ */
export function createRequestIds(): (req: IncomingMessage) => string {
  // Unique enough, and not secret; loading node:crypto would take 1.5 to 3 ms.
  const prefix = `${Math.random().toString(36).slice(2, 10)}-`;
  let count = 0;
  return (req) => {
    const given = givenId(req.rawHeaders);
    if (given !== undefined && validId.test(given)) return given;
    return prefix + (++count).toString(36);
  };
}

/** The client's id; undefined if it sent several. Not from `headers`: Node builds that object on first access. */
function givenId(rawHeaders: readonly string[]): string | undefined {
  let given: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!isHeader(rawHeaders[i] as string, idHeader)) continue;
    if (given !== undefined) return undefined;
    given = rawHeaders[i + 1];
  }
  return given;
}
