// Takes the place of `listen()` for the app's own `http.Server`: the first one that listens never binds, yet
// it looks from inside as if it did. Owns the hook on `net.Server`; never serves and never closes a socket.
import { Server as HttpServer } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';

/** What `net.Server#address()` tells: an object for TCP, the path for a Unix socket. */
export type ServerAddress = AddressInfo | string;

export interface Capture {
  /** The captured server; undefined until one calls `listen()`. */
  readonly server: HttpServer | undefined;
  /** Resolves once the `listening` listeners of the captured server have run. Never rejects. */
  readonly listening: Promise<HttpServer>;
  /** A server that cannot be captured and listens for real (`an https.Server`), for the message if it is the only one. */
  readonly uncaptured: string | undefined;
  /**
   * The app is `exported`, and so need not listen. If a server of it does so all the same, on a port, once it has
   * connected to a database or so, that one is captured: workers must not fight for a port that nobody needs.
   */
  claim(exported: unknown): void;
  /** Gives `listen()` back to Node. */
  release(): void;
}

type Listen = (this: NetServer, ...args: unknown[]) => NetServer;
type ServerOptions = { port?: unknown; signal?: AbortSignal };

/** Hooks `listen()`. The captured server's `address()` is the first of `addresses`: what is really being served. */
export function captureListen(addresses: readonly ServerAddress[]): Capture {
  const prototype = NetServer.prototype as { listen: unknown };
  const listenForReal = prototype.listen as Listen;
  let announce: (server: HttpServer) => void = () => {};
  const listening = new Promise<HttpServer>((resolve) => {
    announce = resolve;
  });
  let captured: HttpServer | undefined;
  let listeners: readonly unknown[] = [];
  let uncaptured: string | undefined;
  let isClaimed = false;

  const isOurs = (server: NetServer, args: unknown[]): server is HttpServer => {
    if (!(server instanceof HttpServer)) return false;
    if (server === captured || isTwin(server, listeners)) return true;
    return captured === undefined && (!isClaimed || portIn(args) !== undefined);
  };
  const hook: Listen = function listen(...args) {
    if (isOurs(this, args)) {
      if (captured === undefined) {
        if (isClaimed && !isTwin(this, listeners))
          warn(`the app is exported, so its own server ${on(args)} stays closed`);
        captured = this;
        if (!isClaimed) listeners = this.listeners('request');
        this.once('listening', () => setImmediate(announce, this)); // after the listeners that are added later
      }
      return pretend(this, addresses[0] ?? null, args);
    }
    if (captured === undefined) uncaptured ??= describeServer(this);
    else if (portIn(args) !== undefined) {
      warn(
        `the app opens a second server ${on(args)}: mpserve serves the first, and one worker only can have this port`,
      );
    }
    return listenForReal.apply(this, args);
  };
  prototype.listen = hook;
  return {
    listening,
    get server() {
      return captured;
    },
    get uncaptured() {
      return uncaptured;
    },
    claim(exported) {
      isClaimed = true;
      listeners = exported instanceof HttpServer ? exported.listeners('request') : [exported];
    },
    release() {
      if (prototype.listen === hook) prototype.listen = listenForReal;
    },
  };
}

/** For a sentence, with its article; undefined for a server that speaks no HTTP that we know of. */
export function describeServer(value: object): string | undefined {
  if (value.constructor?.name.startsWith('Http2')) return 'an HTTP/2 server';
  if ('setSecureContext' in value) return 'an https.Server'; // asked so, as node:https takes 5 ms to import
  return undefined;
}

/**
 * Is it another server of the same app? Fastify makes one for each address of `localhost`, all with one listener.
 * What would reach it reaches the captured one.
 */
function isTwin(server: HttpServer, listeners: readonly unknown[]): boolean {
  return server.listeners('request').some((listener) => listeners.includes(listener));
}

/** All that `listen()` does except listening, in Node's order: events come in a later tick. */
function pretend(server: HttpServer, address: ServerAddress | null, args: unknown[]): HttpServer {
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
        return close.call(server); // has no connections of its own, so it emits 'close' in the next tick
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

/** undefined for a free port, a path, or an fd: nothing that a second worker could collide with. */
function portIn([first]: unknown[]): number | undefined {
  const port = Number(typeof first === 'object' ? (first as ServerOptions | null)?.port : first);
  return port > 0 ? port : undefined;
}

function on(args: unknown[]): string {
  return `on port ${portIn(args)}`;
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'MpserveWarning', code: 'MPSERVE_SECOND_SERVER' });
}
