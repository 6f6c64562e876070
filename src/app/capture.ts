// Replaces `listen()` for the app's own `http.Server`: the first server that listens is captured. It never binds, but
// to the app it looks as if it had. Owns the hook on `net.Server`; never serves a request and never closes a socket.
import { Server as HttpServer } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { deferred } from '../deferred.js';

/** The result of `net.Server#address()`: an object for TCP, the path for a Unix socket. */
export type ServerAddress = AddressInfo | string;

export type Capture = ReturnType<typeof captureListen>;

type Listen = (this: NetServer, ...args: unknown[]) => NetServer;
type ServerOptions = { port?: unknown; signal?: AbortSignal };

/** Hooks `listen()`. `address()` of the captured server returns the first of `addresses`, on which mpserve listens. */
export function captureListen(addresses: readonly ServerAddress[]) {
  const prototype = NetServer.prototype as { listen: unknown };
  const originalListen = prototype.listen as Listen;
  const { promise: listening, resolve: resolveListening } = deferred<HttpServer>();
  let captured: HttpServer | undefined;
  let listeners: readonly unknown[] = [];
  let uncaptured: string | undefined;
  let isExported = false;

  const shouldCapture = (server: NetServer, args: unknown[]): server is HttpServer => {
    if (!(server instanceof HttpServer)) return false;
    if (server === captured || sharesListener(server, listeners)) return true;
    return captured === undefined && (!isExported || portIn(args) !== undefined);
  };
  const hook: Listen = function listen(...args) {
    if (shouldCapture(this, args)) {
      if (captured === undefined) {
        if (isExported && !sharesListener(this, listeners))
          warn(`the app is served by its export; mpserve does not open its own server on port ${portIn(args)}`);
        captured = this;
        if (!isExported) listeners = this.listeners('request');
        this.once('listening', () => setImmediate(resolveListening, this)); // after the listeners that the app adds later
      }
      return fakeListen(this, addresses[0] ?? null, args);
    }
    if (captured === undefined) uncaptured ??= describeServer(this);
    else if (portIn(args) !== undefined) {
      warn(
        `the app opens a second server on port ${portIn(args)}; mpserve serves only the first, and only one worker can bind this port`,
      );
    }
    return originalListen.apply(this, args);
  };
  prototype.listen = hook;
  return {
    /** The captured server; undefined until a server calls `listen()`. */
    get server(): HttpServer | undefined {
      return captured;
    },
    /** Resolves when the `listening` listeners of the captured server have run. Never rejects. */
    listening,
    /**
     * Describes a server that cannot be captured and really listens (`an https.Server`), for the error if the app has no
     * other.
     */
    get uncaptured(): string | undefined {
      return uncaptured;
    },
    /**
     * Declares that the app is `exported`, so no server of it has to listen. If one listens on a port all the same,
     * perhaps later, it is captured too: only one worker could bind the port, and mpserve does not need it.
     */
    useExport(exported: unknown): void {
      isExported = true;
      listeners = exported instanceof HttpServer ? exported.listeners('request') : [exported];
    },
    /** Restores Node's `listen()`. */
    restore(): void {
      if (prototype.listen === hook) prototype.listen = originalListen;
    },
  };
}

/** Describes an HTTPS or HTTP/2 server for a message, with its article; undefined for any other object. */
export function describeServer(value: object): string | undefined {
  if (value.constructor?.name.startsWith('Http2')) return 'an HTTP/2 server';
  if ('setSecureContext' in value) return 'an https.Server'; // not instanceof, because node:https takes 5 ms to import
  return undefined;
}

/**
 * Whether it is another server of the same app: Fastify creates one for each address of `localhost`, all with the same
 * listener. The captured server then gets all requests.
 */
function sharesListener(server: HttpServer, listeners: readonly unknown[]): boolean {
  return server.listeners('request').some((listener) => listeners.includes(listener));
}

/** Does everything that `listen()` does except bind, in Node's order: events are emitted in a later tick. */
function fakeListen(server: HttpServer, address: ServerAddress | null, args: unknown[]): HttpServer {
  if (server.listening) {
    const error = new Error('Listen method has been called more than once without closing.');
    throw Object.assign(error, { code: 'ERR_SERVER_ALREADY_LISTEN' });
  }
  let listening = true;
  const close = server.close;
  Object.defineProperties(server, {
    listening: { get: () => listening, configurable: true },
    address: { value: () => (listening ? address : null), configurable: true, writable: true },
    close: {
      value(callback?: (error?: Error) => void) {
        if (!listening) return close.call(server, callback);
        listening = false;
        if (typeof callback === 'function') server.once('close', callback);
        return close.call(server); // emits 'close' when the pipeline has none of its connections left
      },
      configurable: true,
      writable: true,
    },
  });
  const callback = args.at(-1);
  if (typeof callback === 'function') server.once('listening', callback as () => void);
  const { signal } = Object(args[0]) as ServerOptions;
  if (signal?.aborted) process.nextTick(() => server.close());
  else signal?.addEventListener('abort', () => server.close(), { once: true });
  process.nextTick(() => {
    if (listening) server.emit('listening');
  });
  return server;
}

/** The port to bind; undefined for port 0, a path or an fd, where a second worker does not conflict. */
function portIn([first]: unknown[]): number | undefined {
  const port = Number(typeof first === 'object' ? (first as ServerOptions | null)?.port : first);
  return port > 0 ? port : undefined;
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'MpserveWarning', code: 'MPSERVE_SECOND_SERVER' });
}
