// What requests for actions and for dumps have in common: a body of JSON, and a response of JSON.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outcome } from './protocol.js';
import { Refused } from './refused.js';

const maxBodyBytes = 4096;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the body; an empty one is `{}`.
 * @param read makes the value of it. @throws Error with a one-line reason
 * @returns undefined if the body is invalid, which has been answered
 */
export async function readBody<T>(
  request: IncomingMessage,
  response: ServerResponse,
  read: (fields: Fields) => T,
): Promise<T | undefined> {
  try {
    return read(await readObject(request));
  } catch (error) {
    respond(response, 400, failure((error as Error).message));
    return undefined;
  }
}

async function readObject(request: IncomingMessage): Promise<Fields> {
  let text = '';
  // Read all of it: to stop early would destroy the connection before the response is sent.
  for await (const chunk of request.setEncoding('utf8')) if (text.length <= maxBodyBytes) text += chunk;
  if (text.length > maxBodyBytes) throw new Error(`the body is longer than ${maxBodyBytes} bytes`);
  if (text.trim() === '') return {};
  try {
    return Object(JSON.parse(text));
  } catch (error) {
    throw new Error(`the body is not valid JSON: ${(error as Error).message}`);
  }
}

export function failure(error: string): Outcome {
  return { ok: false, error };
}

/** The outcome of what has thrown this. */
export function failureOf(error: Error): Outcome {
  return { ...failure(error.message), ...(error instanceof Refused && { refused: true }) };
}

/** @returns the status of HTTP */
export function statusOf(outcome: Outcome): number {
  if (outcome.ok) return 200;
  return outcome.refused ? 409 : 500;
}

export function respond(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(content)}\n`);
}
