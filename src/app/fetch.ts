// Apps that take a web `Request` and give a `Response`, through srvx. Errors go to the caller: no answer is
// made up here. Imported only for such apps, as srvx takes 25 ms to load.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { NodeRequest, sendNodeResponse } from 'srvx/node';
import { HttpError } from '../errors.js';
import type { App } from './app.js';

/** `env` is what @hono/node-server passes, too, so that what reads it (`getConnInfo`) works unmodified. */
export type Fetch = (request: Request, env?: Env) => unknown;
type Env = { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse };

/** `request.signal` aborts when the client goes away. A handler's error, or a body's that fails, rejects. */
export function fetchApp(fetch: Fetch): App {
  return {
    kind: 'fetch',
    async handle(req, res) {
      refuseStrangeTargets(req.url ?? '/');
      const request = new NodeRequest({ req, res });
      await answer(res, await fetch(request, { incoming: req, outgoing: res }));
    },
  };
}

/**
 * A function that names no parameters is either: `() => new Response()`, or `(...args) => listener(...args)`.
 * It is called as a listener, and a `Response` that it returns is sent.
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
  if (res.errored) throw res.errored; // the body failed after the headers went out: srvx cuts the connection
}

/** By shape, as a Response may be srvx's, node-fetch's or another realm's. */
function isResponse(value: unknown): value is Response {
  return typeof value === 'object' && value !== null && 'status' in value && 'headers' in value && 'body' in value;
}

/** Only these targets become a URL (RFC 9112, 3.2.1, 3.2.2 and 3.2.4). */
function refuseStrangeTargets(target: string): void {
  if (target.startsWith('/') || target === '*') return;
  if (!/^https?:/i.test(target) || !URL.canParse(target)) throw new HttpError(400, `not a request target: ${target}`);
}

function describe(value: unknown): string {
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}
