// An http.Server that never listens and serves connections that others accepted. What this file relies on and
// Node does not document: an http.Server starts to watch its connections (`headersTimeout`, `requestTimeout`,
// `closeIdleConnections()`) when it emits 'listening'. The conformance tests pin it on each version of Node.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { BackgroundTask } from '../activity.js';
import type { Limits } from '../config/config.js';
import { NamedResponse } from './response.js';

/** Timeouts are checked this often at most, and for short ones four times within their span (milliseconds). */
const longestCheck = 1000;
const shortestCheck = 50;

export function createAdoptingServer(limits: Limits): AdoptingServer {
  const { headerTimeout, requestTimeout } = limits;
  const shortest = Math.min(...[headerTimeout, requestTimeout].filter((timeout) => timeout > 0), longestCheck * 4);
  const server = createServer({
    ServerResponse: NamedResponse,
    maxHeaderSize: limits.maxHeaderSize,
    requestTimeout,
    // Node refuses a header timeout that is longer than the request's.
    headersTimeout: requestTimeout > 0 && headerTimeout > 0 ? Math.min(headerTimeout, requestTimeout) : headerTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: Math.max(shortestCheck, shortest / 4),
  });
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection;
  return server;
}

export type AdoptingServer = Server<typeof IncomingMessage, typeof NamedResponse>;

/** Has Node watch the connections of `server` while there are any. Only between connections may it stop. */
export function watching(server: AdoptingServer): BackgroundTask {
  return {
    start: () => void server.emit('listening'),
    stop: () => void server.close(),
  };
}

/** Starts to serve `socket`, which may have been accepted anywhere and may have bytes waiting. */
export function adopt(server: AdoptingServer, socket: Socket): void {
  // A socket that came over IPC was made without it; HTTP clients may close their half after a request.
  socket.allowHalfOpen = true;
  server.emit('connection', socket);
}

/**
 * The same for a connection that was carried over between two requests: Node hears of it when its next request begins,
 * as it would not give a connection on which nothing has come for longer than that may take.
 * @param onBegin called then
 */
export function adoptResting(server: AdoptingServer, socket: Socket, onBegin: () => void): void {
  socket.allowHalfOpen = true;
  const forget = (): void => {
    socket.off('readable', look).off('timeout', leave).off('error', leave);
  };
  const leave = (): void => {
    forget();
    socket.destroy();
  };
  const look = (): void => {
    if (socket.readableLength > 0) {
      forget();
      onBegin();
      server.emit('connection', socket);
    } else leave(); // its client has gone
  };
  socket.on('readable', look).on('timeout', leave).on('error', leave);
}
