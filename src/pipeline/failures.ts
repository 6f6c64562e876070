// The only place that turns an error into a response. A client learns the status and the request's id, never a
// stack; the operator learns everything, with the same id.
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { HttpError } from '../errors.js';
import { errorRecord, type WorkerEvent } from '../events.js';
import { idHeader } from './response.js';
import type { Stage } from './stage.js';

type Tell = (event: WorkerEvent) => void;

const transferEncoding = 'transfer-encoding';
const contentLength = 'content-length';

export function answerFailures(tell: Tell): Stage {
  return (next) => (req, res, reqId) => {
    try {
      const outcome = next(req, res, reqId);
      if (isThenable(outcome)) {
        return outcome.then(undefined, (error: unknown) => answerFailure(tell, error, req, res, reqId));
      }
    } catch (error) {
      answerFailure(tell, error, req, res, reqId);
    }
    return undefined;
  };
}

export function answerFailure(
  tell: Tell,
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  reqId: string,
): void {
  const outcome = outcomeOf(error, req, res);
  if (outcome)
    tell({ event: outcome, reqId, method: req.method ?? '', url: req.url ?? '', err: errorRecord(rootOf(error)) });
  // The client must not take half an answer for a whole one.
  if (outcome === 'response-cut') req.socket.destroy();
  if (res.headersSent || req.socket.destroyed) return;
  for (const name of res.getHeaderNames()) if (!survives(name, error)) res.removeHeader(name);
  // What is left of a body that nobody will read would be taken for the next request.
  if (!req.complete && hasBody(req)) res.shouldKeepAlive = false;
  writeAnswer(error instanceof HttpError ? error.status : 500, res, reqId);
}

function writeAnswer(status: number, res: ServerResponse, reqId: string): void {
  const body = `${status} ${STATUS_CODES[status] ?? 'Error'}\nrequest id: ${reqId}\n`;
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) });
  res.end(body);
}

/**
 * Answers a request that the app does not get, and ends the connection: at once, though the client may still be sending,
 * or after the answers to the requests before it.
 */
export function answerUnserved(error: HttpError, req: IncomingMessage, res: ServerResponse, reqId: string): void {
  if (res.socket === null && !res.headersSent && !req.socket.destroyed) {
    res.shouldKeepAlive = false;
    writeAnswer(error.status, res, reqId);
  } else answerEarly(error, req, res, reqId);
  req.resume();
}

/** RFC 9112, section 6: a request has a body if one of these says so. */
export function hasBody({ rawHeaders }: IncomingMessage): boolean {
  // Not from `headers`, which Node makes only when they are asked for.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === transferEncoding.length && name.toLowerCase() === transferEncoding) return true;
    const isLength = name.length === contentLength.length && name.toLowerCase() === contentLength;
    if (isLength && Number(rawHeaders[i + 1]) > 0) return true;
  }
  return false;
}

/** What the failure means for the operator; an `HttpError` that can be answered and blames the client, nothing. */
function outcomeOf(error: unknown, req: IncomingMessage, res: ServerResponse) {
  if (res.writableFinished) return 'request-failed';
  if (req.socket.destroyed) return 'client-gone';
  if (res.headersSent) return 'response-cut';
  return error instanceof HttpError && error.status < 500 ? undefined : 'request-failed';
}

/** An `HttpError` says with what to answer, its cause what went wrong. */
function rootOf(error: unknown): unknown {
  return error instanceof HttpError ? (error.cause ?? error) : error;
}

/** How long a connection that was answered early goes on swallowing what its client still sends (milliseconds). */
const linger = 1000;

/**
 * Answers while the client is still sending, and ends the connection. The app may be at work on the request: its
 * response is taken from it, so that whatever it does with it later is ignored rather than thrown at it.
 */
export function answerEarly(error: HttpError, req: IncomingMessage, res: ServerResponse, reqId: string): void {
  const { socket } = req;
  // Where the app has begun to answer, or an earlier answer is on its way, a cut connection says it all.
  if (res.headersSent || res.socket !== socket) return void socket.destroy();
  const reason = STATUS_CODES[error.status];
  const body = `${error.status} ${reason}\nrequest id: ${reqId}\n`;
  res.detachSocket(socket);
  socket.end(
    `HTTP/1.1 ${error.status} ${reason}\r\n${idHeader}: ${reqId}\r\nconnection: close\r\n` +
      `content-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  res.statusCode = error.status;
  res.destroy();
  res.emit('close');
  // To close at once would make the kernel reset the connection, and the client might lose the answer to it.
  const deadline = setTimeout(() => socket.destroy(), linger);
  socket.once('close', () => clearTimeout(deadline));
  socket.once('end', () => socket.destroy());
}

/** An `HttpError` is thrown on purpose, with headers that belong to it (Allow, Content-Range); others are not. */
function survives(header: string, error: unknown): boolean {
  if (header === idHeader) return true;
  return error instanceof HttpError && (header === 'content-range' || !header.startsWith('content-'));
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
