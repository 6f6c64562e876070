// The only file that turns errors and refusals into responses. The client gets the status and the request id, never a
// stack; the log gets the whole error with the same id.
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorRecord, HttpError } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import { isHeader } from '../http/header.js';
import { isThenable } from '../thenable.js';
import { idHeader, type PipelineResponse } from './response.js';
import type { Stage } from './stage.js';

/** @param errorPage 50x.html, for clients that take pages */
export function answerFailures(tell: (event: WorkerEvent) => void, errorPage?: () => Buffer | undefined): Stage {
  const answer = (error: unknown, req: IncomingMessage, res: PipelineResponse, reqId: string): void => {
    if (res.isAnsweredEarly) return; // the app rejects with the reason of `req.signal`, such as the 504
    const event = eventOf(error, req, res);
    const { reqMethod: method, reqUrl: url } = res;
    if (event) tell({ event, reqId, method, url, err: errorRecord(rootOf(error)) });
    // The client must not mistake a partial response for a complete one.
    if (event === 'response-cut') req.socket.destroy();
    if (res.headersSent || req.socket.destroyed) return;
    for (const name of res.getHeaderNames()) if (!isKept(name, error)) res.removeHeader(name);
    // The parser would take the unread rest of the body for the next request.
    if (!req.complete && hasBody(req)) res.shouldKeepAlive = false;
    const status = error instanceof HttpError ? error.status : 500;
    const page = status >= 500 && takesPages(req) ? errorPage?.() : undefined;
    if (page) writePage(status, page, res);
    else writeAnswer({ status }, res, reqId);
  };
  const answerOrCut: typeof answer = (error, req, res, reqId) => {
    try {
      answer(error, req, res, reqId);
    } catch {
      req.socket.destroy(); // the app has replaced a method of the response by one that throws
    }
  };
  return (next) => (req, res, reqId) => {
    try {
      const outcome = next(req, res, reqId);
      if (isThenable(outcome)) return outcome.then(undefined, (error: unknown) => answerOrCut(error, req, res, reqId));
    } catch (error) {
      answerOrCut(error, req, res, reqId);
    }
    return undefined;
  };
}

/** A response in place of the app's. An `HttpError` is one, but takes as much time as the response for its stack. */
export interface Answer {
  /** 400 to 599. */
  readonly status: number;
  /** By lower-case name. */
  readonly headers?: Readonly<Record<string, string>>;
}

function writeAnswer({ status, headers }: Answer, res: ServerResponse, reqId: string): void {
  const body = bodyOf(status, reqId);
  res.writeHead(status, { ...headers, ...bodyHeaders(body) });
  res.end(body);
}

function writePage(status: number, page: Buffer, res: ServerResponse): void {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'content-length': page.length });
  res.end(page);
}

function takesPages({ headers: { accept = '' } }: IncomingMessage): boolean {
  return accept.includes('text/html') || accept.includes('*/*');
}

function bodyHeaders(body: string) {
  return { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) };
}

function bodyOf(status: number, reqId: string): string {
  return `${status} ${STATUS_CODES[status] ?? 'Error'}\nrequest id: ${reqId}\n`;
}

/** Answers a request that is not passed to the app. The connection stays open, unless a body is to come. */
export function refuse(answer: Answer, req: IncomingMessage, res: PipelineResponse, reqId: string): void {
  if (!req.complete && hasBody(req)) answerUnserved(answer, req, res, reqId);
  else if (!res.headersSent && !req.socket.destroyed) {
    writeAnswer(answer, res, reqId);
    req.resume();
  }
}

/**
 * Answers a request that is not passed to the app, and closes the connection: at once, even if the client is still
 * sending, or after the responses to earlier requests.
 */
export function answerUnserved(answer: Answer, req: IncomingMessage, res: PipelineResponse, reqId: string): void {
  if (res.socket === null && !res.headersSent && !req.socket.destroyed) {
    res.shouldKeepAlive = false;
    res.clientConnection?.closesFor('refused');
    writeAnswer(answer, res, reqId);
  } else answerEarly(answer, req, res, reqId);
  req.resume();
}

/** RFC 9112, section 6: a request has a body if one of these says so. */
export function hasBody({ rawHeaders }: IncomingMessage): boolean {
  // Not from `headers`: Node builds that object on first access.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (isHeader(name, 'transfer-encoding')) return true;
    if (isHeader(name, 'content-length') && Number(rawHeaders[i + 1]) > 0) return true;
  }
  return false;
}

/** The event to report; undefined for an `HttpError` below 500, which is the client's fault, if it can be answered. */
function eventOf(error: unknown, req: IncomingMessage, res: ServerResponse) {
  if (res.writableFinished) return 'request-failed';
  if (req.socket.destroyed) return isOfBody(error, req, res) ? 'response-cut' : 'client-gone';
  if (res.writableEnded) return 'request-failed'; // Node still sends the rest
  if (res.headersSent) return 'response-cut';
  return error instanceof HttpError && error.status < 500 ? undefined : 'request-failed';
}

/** The app has destroyed its response with the error: the client has not gone. */
export function isOfBody(error: unknown, req: IncomingMessage, res: ServerResponse): boolean {
  return error !== undefined && res.errored === error && !req.aborted;
}

/** An `HttpError` has the status of the response; its cause is the original error. */
function rootOf(error: unknown): unknown {
  return error instanceof HttpError ? (error.cause ?? error) : error;
}

/** After an early response the server discards what the client still sends, for this time. */
const lingerMs = 1000;

/**
 * Answers while the client is still sending, and closes the connection. The app may still work on the request: its
 * response is detached, so that later writes are ignored and do not throw.
 */
export function answerEarly(answer: Answer, req: IncomingMessage, res: PipelineResponse, reqId: string): void {
  const { socket } = req;
  // If this response has begun, or an earlier one is not finished, the connection can only be cut.
  if (res.headersSent || res.socket !== socket) return void socket.destroy();
  res.clientConnection?.closesFor('refused');
  res.detachSocket(socket);
  res.isAnsweredEarly = true;
  endWithAnswer(answer, res.reqMethod, socket, reqId);
  res.statusCode = answer.status;
  res.destroy();
  res.emit('close');
}

/** Refuses a request to switch to another protocol, whose socket Node has given up, and closes the connection. */
export function refuseUpgrade(answer: Answer, req: IncomingMessage, socket: Duplex, reqId: string): void {
  socket.on('error', () => {}); // the client may be gone
  endWithAnswer(answer, req.method, socket, reqId);
  socket.resume();
}

/** @returns a function that reports an error which no response can report, and closes the connection */
export function cutFailed(tell: (event: WorkerEvent) => void, socket: Duplex, reqId = '', method = '', url = '') {
  return (error: unknown): void => {
    tell({ event: 'request-failed', reqId, method, url, err: errorRecord(error) });
    socket.destroy();
  };
}

/** Writes what Node would write for `writeAnswer`. Something must read what the client still sends. */
function endWithAnswer({ status, headers }: Answer, method: string | undefined, socket: Duplex, reqId: string): void {
  const body = bodyOf(status, reqId);
  const all = {
    [idHeader]: reqId,
    ...headers,
    ...bodyHeaders(body),
    date: new Date().toUTCString(),
    connection: 'close',
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`;
  socket.end(method === 'HEAD' ? head : head + body); // RFC 9110, section 9.3.2
  // Closing at once would make the kernel reset the connection, and the client could lose the response.
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(deadline));
  socket.once('end', () => socket.destroy());
}

/**
 * Headers set before an `HttpError` belong to its response (Allow, Content-Range); those before another error do not.
 */
function isKept(header: string, error: unknown): boolean {
  if (header === idHeader) return true;
  return error instanceof HttpError && (header === 'content-range' || !header.startsWith('content-'));
}
