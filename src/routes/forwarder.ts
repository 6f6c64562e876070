// The app of the processes that have the connections of a server with routes: it forwards each request, over HTTP, to the
// workers of the first route that matches. Each client has a connection of its own to those of a route, and its place in
// it, so that what an app does with one client's connection it does with no other's.
import { type ClientRequest, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { App } from '../app/app.js';
import { serverApp } from '../app/server-app.js';
import { matcher } from '../config/route-pattern.js';
import { deferred } from '../deferred.js';
import { HttpError } from '../errors.js';
import { isHeader } from '../http/header.js';
import { awaitsContinue } from '../pipeline/continue.js';
import { hasBody } from '../pipeline/failures.js';
import { sealed, takeWorker } from '../pipeline/forwarding.js';
import { type PipelineResponse, writeRaw } from '../pipeline/response.js';
import type { ForwardedRoute } from '../worker/settings.js';
import { endToEnd, headText, pairs } from './fields.js';
import { maxResponseHead, type Target } from './target.js';
import { forwardUpgrade } from './upgrade.js';
import { agentOf } from './upstream.js';

/** Of a body (bytes). */
const maxTextBytes = 16 * 1024;

/**
 * @param routes of which the last one matches every path
 * @param idleMs after which a connection to workers is closed on which a client asks for nothing; 0 is never
 */
export function forwarder(routes: readonly ForwardedRoute[], idleMs: number): App {
  const targets: readonly Target[] = routes.map((route) => ({ ...route, idleMs, has: matcher(route.match) }));
  const targetOf = ({ url = '' }: IncomingMessage): Target =>
    targets.find(({ has }) => has(url)) ?? (targets.at(-1) as Target);
  const server = createServer();
  // Not among Node's types.
  Object.assign(server, { httpAllowHalfOpen: true }); // answers come late, and the pipeline sees to it that they do not come for ever
  const forward = (req: IncomingMessage, res: ServerResponse) =>
    forwardRequest(targetOf(req), req, res as PipelineResponse); // of the pipeline, which calls it
  server.on('request', forward);
  // The app says whether a client is to send its body.
  server.on('checkContinue', forward);
  for (const event of ['upgrade', 'connect'] as const)
    server.on(event, (req, socket, head) => forwardUpgrade(targetOf(req), event, req, socket, head));
  return { ...serverApp(server, 'routes'), isElsewhere: true };
}

/** Settles when the response is over. @throws HttpError where the worker cannot answer */
function forwardRequest(target: Target, req: IncomingMessage, res: PipelineResponse): Promise<void> {
  const outcome = deferred<void>();
  const { method = '', url = '' } = req;
  res.route = target.match;
  const out = request({
    agent: agentOf(req.socket, target),
    method,
    path: url,
    headers: sealed(req, res.reqId),
    setHost: false,
    maxHeaderSize: maxResponseHead,
  });
  out.maxHeadersCount = 0;
  const failed = (error: Error): void => {
    req.unpipe(out);
    out.destroy();
    if (res.destroyed || res.headersSent) {
      res.destroy();
      return;
    }
    const reason = `a worker of the route ${target.match} has not answered: ${error.message}`;
    outcome.reject(new HttpError(502, reason));
  };
  out.on('continue', () => awaitsContinue(res) && res.writeContinue());
  out.on('information', ({ httpVersion, statusCode, statusMessage, rawHeaders }) => {
    if (statusCode !== 100 && !res.headersSent && !res.destroyed)
      writeRaw(res, headText(`HTTP/${httpVersion} ${statusCode} ${statusMessage}`, rawHeaders));
  });
  out.on('response', (answer) => {
    answer.once('end', () => goOn(out));
    answer.on('error', () => res.destroy()); // the worker has gone in the middle of it
    try {
      respond(answer, res);
    } catch (error) {
      res.statusMessage = '';
      failed(error as Error); // an app that writes to its socket can send what Node would not
    }
  });
  out.on('error', failed);
  res.once('close', () => {
    if (!res.writableFinished) out.destroy(); // the client has gone
    outcome.resolve();
  });
  if (hasBody(req)) send(req, out);
  else out.end();
  return outcome.promise;
}

function send(req: IncomingMessage, out: ClientRequest): void {
  req.pipe(out, { end: false });
  req.once('end', () => {
    const { rawTrailers } = req;
    if (rawTrailers.length > 0) out.addTrailers(pairs(rawTrailers));
    out.end();
  });
  // Its client may wait for the beginning of the response.
  setImmediate(() => {
    if (!out.writableEnded && !out.destroyed) out.flushHeaders();
  });
}

/** Goes on with the body of a request that has been answered: Node no longer tells when there is room for more of it. */
function goOn(out: ClientRequest): void {
  const { socket } = out;
  if (out.writableFinished || !socket) return;
  const drained = (): void => void out.emit('drain');
  socket.on('drain', drained);
  out.once('close', () => socket.off('drain', drained));
  if (socket.writableLength === 0) drained();
}

function respond(answer: IncomingMessage, res: PipelineResponse): void {
  if (res.destroyed) return;
  const { statusCode = 502, statusMessage } = answer;
  const fields = endToEnd(answer.rawHeaders);
  const worker = takeWorker(fields);
  res.pid = worker?.pid;
  res.tid = worker?.tid;
  res.sendDate = false; // the worker has sent one, unless its app does not want it
  res.writeHead(statusCode, statusMessage, fields);
  if (lengthOf(fields) <= maxTextBytes) collect(answer, res);
  else stream(answer, res);
}

/** A small body is written together with the head, as one text. */
function collect(answer: IncomingMessage, res: PipelineResponse): void {
  let text = '';
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
  };
  const onEnd = (): void => void res.end(text, 'latin1');
  answer.on('data', onData).once('end', onEnd);
  setImmediate(() => {
    if (answer.readableEnded || res.destroyed) return;
    // The rest takes a while.
    answer.off('data', onData).off('end', onEnd);
    if (text === '') res.flushHeaders();
    else res.write(text, 'latin1');
    stream(answer, res);
  });
}

function stream(answer: IncomingMessage, res: PipelineResponse): void {
  answer.pipe(res, { end: false });
  answer.once('end', () => {
    const { rawTrailers } = answer;
    if (rawTrailers.length > 0) res.addTrailers(pairs(rawTrailers));
    res.end();
  });
  // The beginning of an event stream, of which nothing follows for now.
  setImmediate(() => {
    if (!res.writableEnded && !res.destroyed) res.flushHeaders();
  });
}

/** @returns Infinity where it is not known */
function lengthOf(fields: readonly string[]): number {
  for (let i = 0; i < fields.length; i += 2) {
    if (isHeader(fields[i] as string, 'content-length')) return Number(fields[i + 1]);
  }
  return Number.POSITIVE_INFINITY;
}
