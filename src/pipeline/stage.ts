// What stages are made of: a handler that takes a request with its id, and a stage that wraps one handler in
// another. They are composed once, when the pipeline is made; a request makes one call.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What it throws, or what the promise it may return rejects with, is a failure of the request. */
export type Handler = (req: IncomingMessage, res: ServerResponse, reqId: string) => unknown;
export type Stage = (next: Handler) => Handler;

/** Wraps `innermost` in `stages`, the first of them outermost. */
export function compose(stages: readonly Stage[], innermost: Handler): Handler {
  return stages.reduceRight((next, stage) => stage(next), innermost);
}
