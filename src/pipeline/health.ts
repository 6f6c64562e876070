// --health-path without --max-inflight: answers health checks before anything else looks at them, so that they tell of the
// server and cost the app nothing. With --max-inflight, `overload` passes them to the app.
import type { IncomingMessage } from 'node:http';
import type { Part } from '../memory/parts.js';
import type { hasBody } from './failures.js';
import type { PipelineResponse } from './response.js';
import type { Stage } from './stage.js';

const answers = {
  ok: { status: 200, body: 'ok\n' },
  stopping: { status: 503, body: 'stopping\n' },
} as const;

export class HealthChecks {
  readonly #paths: readonly string[];
  /** Not 0 once the server is about to stop; undefined where it does so without a delay. */
  readonly #stopping: Int32Array | undefined;
  readonly #hasBody: typeof hasBody;
  /** This event loop drains, and no other one serves. */
  isStopping = false;

  /** @param part of the memory that all event loops share. @param hasBodyOf passed, as importing it would be one more file */
  constructor(paths: readonly string[], part: Part | undefined, hasBodyOf: typeof hasBody) {
    this.#paths = paths;
    this.#hasBody = hasBodyOf;
    this.#stopping = part && new Int32Array(part.memory, part.start, 1);
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    if (res.clientConnection?.isOwn || !this.#isHealthCheck(req)) return next(req, res, reqId);
    const isStopping = this.isStopping || (this.#stopping !== undefined && Atomics.load(this.#stopping, 0) !== 0);
    this.#answer(isStopping ? 'stopping' : 'ok', req, res);
    return undefined;
  };

  #isHealthCheck({ method, url = '' }: IncomingMessage): boolean {
    if (method !== 'GET' && method !== 'HEAD') return false;
    return this.#paths.some((path) => url === path || url.startsWith(`${path}?`));
  }

  #answer(name: keyof typeof answers, req: IncomingMessage, res: PipelineResponse): void {
    const { status, body } = answers[name];
    // The parser would take the unread rest of a body for the next request.
    if (!req.complete && this.#hasBody(req)) res.shouldKeepAlive = false;
    res.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': body.length,
      'cache-control': 'no-store',
    });
    res.end(body);
    req.resume();
  }
}
