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
  const forget = (event: string | symbol): void => {
    if (event === 'request') current = undefined;
  };
  // `removeAllListeners()` takes these two as well, the one that tells of it last.
  const forgetOrReturn = (event: string | symbol): void => {
    forget(event);
    if (event === 'newListener') queueMicrotask(follow);
  };
  const follow = (): void => {
    current = undefined;
    server.off('removeListener', forgetOrReturn).off('newListener', forget); // in this order, or it tells itself
    server.on('newListener', forget).on('removeListener', forgetOrReturn);
  };
  follow();
  return () => {
    current ??= server.rawListeners('request') as Listener[];
    return current;
  };
}
