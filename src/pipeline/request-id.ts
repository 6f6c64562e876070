// The name of a request in every log line and in its answer: the client's own where it is sane, else a new one.
import type { IncomingMessage } from 'node:http';
import { idHeader } from './response.js';

/** Nothing that could break out of a header, a log line or a page; long enough for a W3C trace context. */
const sane = /^[\w.:+/=@-]{1,128}$/;

/** @returns a function that names requests; each pipeline has one, and no two of them give the same name. */
export function createRequestIds(): (req: IncomingMessage) => string {
  // Unlikely to meet again, not secret; and node:crypto takes 1.5 to 3 ms to load.
  const prefix = `${Math.random().toString(36).slice(2, 10)}-`;
  let count = 0;
  return (req) => {
    const given = givenId(req.rawHeaders);
    if (given !== undefined && sane.test(given)) return given;
    return prefix + (++count).toString(36);
  };
}

/** The client's id, if it sent one and not several. Not from `headers`, which Node makes only when they are asked for. */
function givenId(rawHeaders: readonly string[]): string | undefined {
  let given: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== idHeader.length || name.toLowerCase() !== idHeader) continue;
    if (given !== undefined) return undefined;
    given = rawHeaders[i + 1];
  }
  return given;
}
