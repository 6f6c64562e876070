// What requests for actions and for dumps have in common: a body of JSON, and a response of JSON.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Outcome } from './protocol.js';

const maxBodyBytes = 4096;

/** The body, an empty one as `{}`. @throws Error with a one-line reason if it is invalid */
export async function readObject(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
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

export function respond(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(content)}\n`);
}
