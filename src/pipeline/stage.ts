// What stages are made of: a handler that takes a request with its id, and a stage that wraps one handler in
// another and may have to know when the exchange is over. They are composed once, when the pipeline is made; a request
// makes one call, and one listener tells all stages of its end.
import type { IncomingMessage } from 'node:http';
import type { NamedResponse } from './response.js';

/** What it throws, or what the promise it may return rejects with, is a failure of the request. */
export type Handler = (req: IncomingMessage, res: NamedResponse, reqId: string) => unknown;
export type Stage = (next: Handler) => Handler;

/** Called when a response has been sent whole, or its connection has gone: exactly once for each that a stage saw. */
export type OnClose = (res: NamedResponse) => void;

/** Wraps `innermost` in `stages`, the first of them outermost. */
export function compose(stages: readonly Stage[], innermost: Handler): Handler {
  return stages.reduceRight((next, stage) => stage(next), innermost);
}
