// An http.Server that never listens: it serves sockets that an acceptor has accepted. Node does not document that an
// http.Server starts to check its connections (`headersTimeout`, `requestTimeout`, `closeIdleConnections()`) when it
// emits 'listening'; the conformance tests check this on each version of Node.
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { BackgroundTask } from '../activity.js';
import type { Limits } from '../config/config.js';
import { forwardingBytes } from './forwarding.js';
import { type ResponseClass, responseClass } from './response.js';

/** Timeouts are checked four times within the shortest of them, but within these limits. */
const maxCheckIntervalMs = 1000;
const minCheckIntervalMs = 50;

/** @param isForwarded its requests are from workers that have checked them, and have added to them */
export function createAdoptingServer(limits: Limits, isForwarded: boolean): AdoptingServer {
  const { headerTimeout, requestTimeout } = limits;
  const timeouts = [headerTimeout, requestTimeout].filter((timeout) => timeout > 0);
  const checkIntervalMs = Math.min(maxCheckIntervalMs, ...timeouts.map((timeout) => timeout / 4));
  const server = createServer({
    ServerResponse: responseClass(ServerResponse),
    maxHeaderSize: limits.maxHeaderSize + (isForwarded ? forwardingBytes : 0),
    requireHostHeader: !isForwarded,
    requestTimeout,
    // Node throws if headersTimeout is longer than requestTimeout.
    headersTimeout: requestTimeout > 0 && headerTimeout > 0 ? Math.min(headerTimeout, requestTimeout) : headerTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: Math.max(minCheckIntervalMs, checkIntervalMs),
  });
  server.maxRequestsPerSocket = limits.maxRequestsPerConnection;
  return server;
}

export type AdoptingServer = Server<typeof IncomingMessage, ResponseClass>;

/** Node's timeout checks, which need to run only while the server has connections. */
export function timeoutChecks(server: AdoptingServer): BackgroundTask {
  return {
    start: () => void server.emit('listening'),
    stop: () => void server.close(),
  };
}

/** Starts to serve an accepted socket, which may already have received bytes. */
export function adopt(server: AdoptingServer, socket: Socket): void {
  // Sockets from IPC lack this flag; an HTTP client may half-close after its request.
  socket.allowHalfOpen = true;
  server.emit('connection', socket);
}

/**
 * Starts to serve a connection that migrated between two requests. The server gets it only when the next request
 * begins, because Node would otherwise answer it with 408 after `headersTimeout`.
 * @param onBegin called when the next request begins
 */
export function adoptIdle(server: AdoptingServer, socket: Socket, onBegin: () => void): void {
  socket.allowHalfOpen = true;
  const removeListeners = (): void => {
    socket.off('readable', onReadable).off('timeout', close).off('error', close);
  };
  const close = (): void => {
    removeListeners();
    socket.destroy();
  };
  const onReadable = (): void => {
    if (socket.readableLength > 0) {
      removeListeners();
      onBegin();
      server.emit('connection', socket);
    } else close(); // the client has disconnected
  };
  socket.on('readable', onReadable).on('timeout', close).on('error', close);
}
