// The client's side of the control socket. It prints nothing. It speaks HTTP/1.0 on a plain socket, because loading
// Node's HTTP client would take half of the time that `mpserve ctl status` may take.
import { connect } from 'node:net';
import { type Action, type Outcome, type Progress, type Request, streamType } from './protocol.js';

/** Nothing listens on the control socket, or the response does not come from mpserve. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

/** For queries; actions have no timeout (milliseconds). */
const queryTimeoutMs = 5000;

/** `GET /<query>`. @throws Unreachable */
export async function ask<T>(socketPath: string, query: string): Promise<T> {
  const lines: string[] = [];
  await send(socketPath, `GET /${query}`, [], '', (line) => lines.push(line), queryTimeoutMs);
  return parse(lines.join('\n')) as T;
}

/** `POST /<action>`. Reports progress until the action has ended. @throws Unreachable */
export async function act(
  socketPath: string,
  action: Action,
  request: Request,
  onProgress: (message: string) => void,
): Promise<Outcome> {
  let outcome: Outcome | undefined;
  await send(socketPath, `POST /${action}`, [`accept: ${streamType}`], JSON.stringify(request), (line) => {
    const message = parse(line) as Progress | Outcome;
    if ('progress' in message) onProgress(message.progress);
    else outcome = message;
  });
  if (!outcome) throw new Unreachable('the server closed the connection before it sent the outcome', undefined);
  return outcome;
}

/**
 * Sends a request, and calls `onLine` for each line of the response body. Settles when the server has closed the
 * connection. @param idleTimeoutMs how long to wait for the next byte; 0 is forever
 */
function send(
  socketPath: string,
  target: string,
  headers: readonly string[],
  body: string,
  onLine: (line: string) => void,
  idleTimeoutMs = 0,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = ({ message, code }: NodeJS.ErrnoException) => reject(new Unreachable(message, code));
    const response = new ResponseReader(onLine);
    const socket = connect(socketPath);
    socket.setEncoding('utf8').on('data', (text: string) => {
      try {
        response.push(text);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('error', fail);
    socket.on('end', () =>
      response.hasHead ? resolve() : fail(new Error('it closed the connection without a response')),
    );
    socket.setTimeout(idleTimeoutMs, () => socket.destroy(new Error(`no response within ${idleTimeoutMs / 1000} s`)));
    // Not `end`: Node's HTTP server would take a half-closed connection for a client that has disconnected.
    socket.write(
      [`${target} HTTP/1.0`, `content-length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n'),
    );
  });
}

/** Reads an HTTP/1.0 response: a head, and a body that ends when the server closes the connection. */
class ResponseReader {
  readonly #onLine: (line: string) => void;
  #buffer = '';
  /** The head is complete. */
  hasHead = false;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    this.#buffer += text;
    if (!this.hasHead) {
      if (!startsLikeHttp(this.#buffer)) throw new Error(notMpserve);
      const end = this.#buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.hasHead = true;
      this.#buffer = this.#buffer.slice(end + 4);
    }
    const lines = this.#buffer.split('\n');
    this.#buffer = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }
}

const httpPrefix = 'HTTP/1.';
const notMpserve = 'the response does not come from a control socket of mpserve';

/** True also while less than the prefix has arrived. */
function startsLikeHttp(text: string): boolean {
  return text.startsWith(httpPrefix.slice(0, text.length));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreachable(notMpserve, undefined);
  }
}
