// The operator's side of the control socket. It prints nothing. It speaks HTTP/1.0 on a plain socket, because Node's
// client costs half of what `mpserve ctl status` may take: an answer of HTTP/1.0 is a head, and all bytes up to the end.
import { connect } from 'node:net';
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
  await talk(socketPath, `GET /${what}`, [], '', (line) => lines.push(line), patience);
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
  await talk(socketPath, `POST /${action}`, [`accept: ${streamType}`], JSON.stringify(request), (line) => {
    const message = parse(line) as Progress | Outcome;
    if ('progress' in message) onProgress(message.progress);
    else outcome = message;
  });
  if (!outcome) throw new Unreachable('the server ended before it could say what came of it', undefined);
  return outcome;
}

/**
 * Sends a request, and calls `onLine` for each line of the body of its answer. Settles when the server has closed the
 * connection. @param idleMs without a byte after which to give up; 0 is never
 */
function talk(
  socketPath: string,
  target: string,
  headers: readonly string[],
  body: string,
  onLine: (line: string) => void,
  idleMs = 0,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = ({ message, code }: NodeJS.ErrnoException) => reject(new Unreachable(message, code));
    const answer = new Answer(onLine);
    const socket = connect(socketPath);
    socket.setEncoding('utf8').on('data', (text: string) => {
      try {
        answer.take(text);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('error', failed);
    socket.on('end', () => (answer.hasBegun ? resolve() : failed(new Error('it closed the connection unanswered'))));
    socket.setTimeout(idleMs, () => socket.destroy(new Error(`no answer within ${idleMs / 1000} s`)));
    // Not `end`: a server of HTTP takes that for a client that has gone.
    socket.write(
      [`${target} HTTP/1.0`, `content-length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n'),
    );
  });
}

/** Of HTTP/1.0: a head, and a body that lasts until the connection is closed. */
class Answer {
  readonly #onLine: (line: string) => void;
  #rest = '';
  /** Its head is complete. */
  hasBegun = false;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  take(text: string): void {
    this.#rest += text;
    if (!this.hasBegun) {
      if (!isStartOf(this.#rest)) throw new Error(foreign);
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.hasBegun = true;
      this.#rest = this.#rest.slice(end + 4);
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }
}

const protocol = 'HTTP/1.';

function isStartOf(text: string): boolean {
  return text.startsWith(protocol.slice(0, text.length));
}

const foreign = 'what answers is no control socket of mpserve';

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreachable(foreign, undefined);
  }
}
