// Answers the request for a profile or a heap snapshot, on the control socket: it is streamed to the client.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { failureOf, readBody, respond, statusOf } from './answer.js';
import type { DumpKind, DumpRequest } from './protocol.js';

export interface Dump {
  /** Throws an Error with a sentence when not all of it has come. */
  readonly content: AsyncIterable<Buffer>;
  /** Aborted when it is given up: then nothing more comes. */
  readonly over: AbortSignal;
}

/**
 * Settles when there is something to read. @param signal the client has gone
 * @throws Refused if it was not begun, Error if it failed
 */
export type OpenDump = (kind: DumpKind, request: DumpRequest, signal: AbortSignal) => Promise<Dump>;

export async function takeDump(
  open: OpenDump,
  kind: DumpKind,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const wanted = await readBody(request, response, readRequest);
  if (!wanted) return;
  try {
    const { content, over } = await open(kind, wanted, gone.signal);
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    // One that fails when a part of it has been sent is cut.
    await pipeline(content, response, { signal: over }).catch(() => response.destroy());
  } catch (error) {
    const outcome = failureOf(error as Error);
    respond(response, statusOf(outcome), outcome);
  }
}

/** @throws Error with a one-line reason */
function readRequest({ worker, seconds }: Readonly<Record<string, unknown>>): DumpRequest {
  if (worker !== undefined && typeof worker !== 'string' && typeof worker !== 'number')
    throw new Error('"worker" must be the number of a worker, or a string such as "2.1" for its thread 1');
  if (seconds !== undefined && typeof seconds !== 'number') throw new Error('"seconds" must be a number');
  return { ...(worker !== undefined && { worker: String(worker) }), ...(seconds !== undefined && { seconds }) };
}
