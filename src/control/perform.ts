// Answers the request for an action, on the control socket and on the admin server: reads its body, and writes its outcome,
// after its progress if the client accepts a stream.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { failureOf, readBody, respond, statusOf } from './answer.js';
import { type Action, type Outcome, type Request, streamType } from './protocol.js';

/**
 * @returns the result as a sentence
 * @param by who asks, for the log: `mpserve ctl`
 * @throws Refused if the action was not started, Error if it failed
 */
export type Act = (
  action: Action,
  request: Request,
  onProgress: (message: string) => void,
  by?: string,
) => Promise<string>;

export async function perform(
  act: Act,
  action: Action,
  request: IncomingMessage,
  response: ServerResponse,
  by?: string,
): Promise<void> {
  const body = await readBody(request, response, readRequest);
  if (!body) return;
  const isStream = request.headers.accept === streamType;
  if (isStream) response.writeHead(200, { 'content-type': streamType, connection: 'close' });
  const writeLine = (line: unknown): void => void response.write(`${JSON.stringify(line)}\n`);
  const outcome = await act(action, body, (progress) => isStream && writeLine({ progress }), by)
    .then((message): Outcome => ({ ok: true, message }))
    .catch(failureOf);
  if (isStream) {
    writeLine(outcome);
    response.end();
  } else respond(response, statusOf(outcome), outcome);
}

/** @throws Error with a one-line reason if the body is invalid */
function readRequest({ workers, now, options, url, tag }: Readonly<Record<string, unknown>>): Request {
  if (workers !== undefined && typeof workers !== 'string' && typeof workers !== 'number') {
    throw new Error('"workers" must be a number, or a string such as "+2"');
  }
  for (const [name, value] of Object.entries({ url, tag })) {
    if (value !== undefined && typeof value !== 'string') throw new Error(`"${name}" must be a string`);
  }
  const switchOptions = options === undefined ? undefined : readOptions(options);
  return {
    ...(workers !== undefined && { workers: String(workers) }),
    ...(url !== undefined && { url: url as string }),
    ...(tag !== undefined && { tag: tag as string }),
    now: now === true,
    ...(switchOptions && { options: switchOptions }),
  };
}

function readOptions(options: unknown): Readonly<Record<string, string>> {
  const isValue = (value: unknown) => typeof value === 'string' || typeof value === 'number';
  if (typeof options !== 'object' || options === null || !Object.values(options).every(isValue)) {
    throw new Error(
      '"options" must be an object of strings and numbers, such as { "model": "prethread", "threads": 4 }',
    );
  }
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [key, String(value)]));
}
