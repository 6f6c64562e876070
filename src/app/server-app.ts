// Adapts an `http.Server`: calls its `request` listeners directly, because `emit()` would drop the promise of an async
// listener, and its error with it. The server never listens and owns no connection.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { App, AppKind } from './app.js';

type Listener = (this: Server, req: IncomingMessage, res: ServerResponse) => unknown;

/** @param close closes the resources of the app, if it has any */
export function serverApp(server: Server, kind: AppKind = 'server', close?: () => Promise<void>): App {
  const listeners = followListeners(server);
  const handle = (req: IncomingMessage, res: ServerResponse): unknown => {
    const current = listeners();
    if (current.length === 1) return (current[0] as Listener).call(server, req, res);
    return Promise.all(current.map((listener) => listener.call(server, req, res)));
  };
  return close === undefined ? { kind, handle, server } : { kind, handle, server, close };
}

/**
 * Caches the `request` listeners until they change, to avoid a copy for each request. They do change: engine.io removes
 * all listeners and adds its own. Uses the raw listeners, because `once` listeners need their wrappers.
 */
function followListeners(server: Server): () => readonly Listener[] {
  let current: readonly Listener[] | undefined;
  const invalidate = (event: string | symbol): void => {
    if (event === 'request') current = undefined;
  };
  // `removeAllListeners()` removes these two listeners as well, the one for `removeListener` last.
  const invalidateOrFollow = (event: string | symbol): void => {
    invalidate(event);
    if (event === 'newListener') queueMicrotask(follow);
  };
  const follow = (): void => {
    current = undefined;
    // In this order, or `invalidateOrFollow` would be called for its own removal.
    server.off('removeListener', invalidateOrFollow).off('newListener', invalidate);
    server.on('newListener', invalidate).on('removeListener', invalidateOrFollow);
  };
  follow();
  return () => {
    current ??= server.rawListeners('request') as Listener[];
    return current;
  };
}
