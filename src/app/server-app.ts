// An `http.Server` as an app: calls its `request` listeners itself, because `emit()` would drop the promise of
// an async listener, and with it the error. The server never listens and owns no connection.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { App, AppKind } from './app.js';

type Listener = (this: Server, req: IncomingMessage, res: ServerResponse) => unknown;

/** `close`, if given, lets go of what the app holds; without it there is nothing to let go of. */
export function serverApp(server: Server, kind: AppKind = 'server', close?: () => Promise<void>): App {
  const listeners = followListeners(server);
  const handle = (req: IncomingMessage, res: ServerResponse): unknown => {
    const now = listeners();
    if (now.length === 1) return (now[0] as Listener).call(server, req, res);
    return Promise.all(now.map((listener) => listener.call(server, req, res)));
  };
  return close === undefined ? { kind, handle, server } : { kind, handle, server, close };
}

/**
 * The `request` listeners, always current without a copy for each request. engine.io takes all listeners away and
 * puts its own there; `once` listeners need their wrappers, so these are the raw ones.
 */
function followListeners(server: Server): () => readonly Listener[] {
  let current: readonly Listener[] | undefined;
  const touched = (event: string | symbol): void => {
    if (event === 'request') current = undefined;
    else if (event === 'newListener') queueMicrotask(follow); // removeAllListeners() took this function, too
  };
  const follow = (): void => {
    current = undefined;
    server.on('removeListener', touched).on('newListener', touched);
  };
  follow();
  return () => {
    current ??= server.rawListeners('request') as Listener[];
    return current;
  };
}
