// Adapts fetch handlers, which take a web `Request` and return a `Response`, with srvx. Errors go to the caller; this
// file never creates an error response. Imported only for such apps, because srvx takes 25 ms to load.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { NodeRequest, sendNodeResponse } from 'srvx/node';
import { HttpError } from '../errors.js';
import type { App } from './app.js';

/** `env` is the same as in @hono/node-server, so that `getConnInfo` works unmodified. */
export type Fetch = (request: Request, env?: Env) => unknown;
type Env = { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse };

/** `request.signal` aborts when the client disconnects. `handle` rejects if the handler or the body stream fails. */
export function fetchApp(fetch: Fetch): App {
  return {
    kind: 'fetch',
    async handle(req, res) {
      refuseInvalidTarget(req.url ?? '/');
      const request = new NodeRequest({ req, res });
      await answer(res, await fetch(request, { incoming: req, outgoing: res }));
    },
  };
}

/**
 * A function without named parameters may be either kind: `() => new Response()` or `(...args) => listener(...args)`.
 * It is called as a listener; if it returns a `Response`, that is sent.
 */
export function eitherApp(listener: (req: IncomingMessage, res: ServerResponse) => unknown): App {
  return {
    kind: 'listener',
    async handle(req, res) {
      const returned = await listener(req, res);
      if (isResponse(returned)) await answer(res, returned);
    },
  };
}

async function answer(res: ServerResponse, response: unknown): Promise<void> {
  if (!isResponse(response)) {
    throw new TypeError(`the fetch handler returned ${describe(response)} instead of a Response`);
  }
  await sendNodeResponse(res, response);
  if (res.errored) throw res.errored; // the body failed after the headers were sent: srvx closes the connection
}

/** Checks properties, not the class: a Response may come from srvx, node-fetch or another realm. */
function isResponse(value: unknown): value is Response {
  return typeof value === 'object' && value !== null && 'status' in value && 'headers' in value && 'body' in value;
}

/** Refuses a target that cannot be converted to a URL (RFC 9112, 3.2.1, 3.2.2 and 3.2.4). */
function refuseInvalidTarget(target: string): void {
  if (target.startsWith('/') || target === '*') return;
  if (!/^https?:/i.test(target) || !URL.canParse(target)) throw new HttpError(400, `invalid request target: ${target}`);
}

/** Never throws. */
function describe(value: unknown): string {
  try {
    if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`;
    if (typeof value === 'symbol') return `the symbol ${String(value)}`;
    const name = typeof value === 'object' && value !== null && value.constructor?.name;
    if (name) return `an instance of ${name}`;
  } catch {} // a value may throw whatever is asked of it
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}
