// Adapts an `http.Server`: calls its `request` listeners directly, because `emit()` would drop the promise of an async
// listener, and its error with it. The server never listens and owns no connection.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { App, AppKind } from './app.js';

type Listener = (this: Server, req: IncomingMessage, res: ServerResponse) => unknown;

/** @param close closes the resources of the app, if it has any */
export function serverApp(server: Server, kind: AppKind = 'server', close?: () => Promise<void>): App {
  const handle = (req: IncomingMessage, res: ServerResponse): unknown => {
    // At each request, because they change: engine.io removes all listeners and adds its own. The raw ones, because `once`
    // listeners need their wrappers.
    const listeners = server.rawListeners('request') as Listener[];
    if (listeners.length === 1) return (listeners[0] as Listener).call(server, req, res);
    return Promise.all(listeners.map((listener) => listener.call(server, req, res)));
  };
  return close === undefined ? { kind, handle, server } : { kind, handle, server, close };
}
