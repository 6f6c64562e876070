// The operator's side of the control socket. It prints nothing.
import { request as send } from 'node:http';
import { type Action, type Outcome, type Progress, type Request, streamType } from './protocol.js';

/** Nobody answers on the control socket, or not as a server of ours. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

/** An answer is there at once (milliseconds); an action takes as long as it takes. */
const patience = 5000;

/** `GET /<what>`. @throws Unreachable */
export async function ask<T>(socketPath: string, what: string): Promise<T> {
  const lines: string[] = [];
  await talk(socketPath, { method: 'GET', path: `/${what}`, timeout: patience }, '', (line) => lines.push(line));
  return parse(lines.join('\n')) as T;
}

/** `POST /<action>`, with progress as it comes. Resolves to how it ended. @throws Unreachable */
export async function act(
  socketPath: string,
  action: Action,
  request: Request,
  onProgress: (words: string) => void,
): Promise<Outcome> {
  let outcome: Outcome | undefined;
  const options = { method: 'POST', path: `/${action}`, headers: { accept: streamType } };
  await talk(socketPath, options, JSON.stringify(request), (line) => {
    const message = parse(line) as Progress | Outcome;
    if ('progress' in message) onProgress(message.progress);
    else outcome = message;
  });
  if (!outcome) throw new Unreachable('the server ended before it could say what came of it', undefined);
  return outcome;
}

interface Options {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: number;
}

function talk(
  socketPath: string,
  { headers = {}, ...options }: Options,
  body: string,
  onLine: (line: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(new Unreachable(error.message, error.code));
    // Without an agent: Node's own gives up on a connection that is quiet for five seconds, as a long reload is.
    const request = send({ socketPath, agent: false, ...options, headers: { ...headers } }, (response) => {
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        try {
          for (const line of lines) onLine(line);
        } catch (error) {
          request.destroy(error as Error);
        }
      });
      response.on('error', failed);
      response.on('end', resolve);
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${patience / 1000} s`)));
    request.on('error', failed);
    request.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('what answers is no control socket of mpserve');
  }
}
