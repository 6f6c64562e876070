// Replaces `listen()` for the servers of the app. One of them is captured: mpserve serves it, so it never binds, but to the
// app it looks as if it had. The others are secondary servers. Owns the hook on `net.Server`; never serves a request.
import { Server as HttpServer } from 'node:http';
import { Server as NetServer } from 'node:net';
import { deferred } from '../deferred.js';
import { attach, describeAddress, type Listen, type ListenOptions, listenOptions, portIn } from './listen-options.js';
import type { SecondaryServers } from './secondary-servers.js';
import { isCertain, isPreferred, type Listening, mayServe, type ServeRule } from './serve-rule.js';
import { type ServerAddress, SimulatedListening } from './simulated-listening.js';

export type { ServerAddress } from './simulated-listening.js';

export type Capture = ReturnType<typeof captureListen>;

export interface CaptureOptions {
  readonly serve?: ServeRule;
  /** Absent: they are Node's. */
  readonly secondary?: SecondaryServers;
  /** Told once that the app has more than one server: which one mpserve serves, and the addresses of the others. */
  readonly onSeveral?: (served: string, others: readonly string[]) => void;
  /** Told when the app has closed its server, and has not listened again at once; if it has before it had loaded, then. */
  readonly onClosed?: (() => void) | undefined;
}

/** The server that is the app's, or would be if none listened after it. */
interface Candidate extends Listening {
  readonly server: HttpServer;
  readonly options: ListenOptions;
  readonly listeners: readonly unknown[];
  /** The server, and others of the same app for other addresses. */
  readonly captured: Map<HttpServer, SimulatedListening>;
  /** Settles when the listeners of the server for 'listening' have run. */
  readonly announced: Promise<void>;
}

/** Hooks `listen()`. `address()` of the captured server returns the first of `addresses`, on which mpserve listens. */
export function captureListen(addresses: readonly ServerAddress[], options: CaptureOptions = {}) {
  const { serve = 'auto', secondary, onSeveral, onClosed } = options;
  const prototype = NetServer.prototype as { listen: unknown };
  const originalListen = prototype.listen as Listen;
  const bound = addresses.flatMap((address) => (typeof address === 'object' ? [address.port] : []));
  /** Those on which the app is told to listen, or is served. */
  const ourPorts = new Set([Number(process.env.PORT), ...bound]);
  const listening = deferred<HttpServer>();
  const certain = deferred<HttpServer>();
  let candidate: Candidate | undefined;
  let isChosen = false;
  let uncaptured: string | undefined;
  let exported: readonly unknown[] | undefined;
  let isReported = false;
  let hasLoaded = false;

  const report = (): void => {
    const others = secondary?.addresses ?? [];
    if (isReported || others.length === 0) return;
    isReported = true;
    onSeveral?.(candidate && !exported ? `on ${describeAddress(candidate.options)}` : 'that it exports', others);
  };
  const choose = (): void => {
    isChosen = true;
    if (candidate) certain.resolve(candidate.server);
  };

  /** Fastify has a server for each address of `localhost`. */
  const isClosed = ({ captured }: Candidate): boolean => [...captured.keys()].every(({ listening }) => !listening);
  const reportClosed = (of: Candidate): void => {
    const look = (): void => {
      process.off('exit', look);
      if (isClosed(of)) onClosed?.();
    };
    // As soon as its close() calls back, the app may listen again, or exit.
    setImmediate(look);
    process.once('exit', look);
  };

  const simulate = (server: HttpServer, args: readonly unknown[], to: Candidate): void => {
    to.captured.get(server)?.end();
    const simulated = new SimulatedListening(server, () => {
      if (hasLoaded) reportClosed(to);
    });
    to.captured.set(server, simulated);
    attach(server, args);
    simulated.begin(addresses[0] ?? null);
  };
  /** It is not the app's after all. */
  const release = ({ captured, options }: Candidate): void => {
    for (const [server, simulated] of captured) {
      if (server.listening) secondary?.open(server, options, originalListen, simulated);
    }
  };
  /** It listens again, or it is another server of the same app: Fastify makes one for each address of `localhost`. */
  const belongsTo = ({ captured, listeners, port }: Candidate, server: HttpServer, facts: Listening): boolean =>
    captured.has(server) || (sharesListener(server, listeners) && (facts.hasOurPort || facts.port === port));
  /** @returns whether the server is captured */
  const capture = (server: HttpServer, args: readonly unknown[]): boolean => {
    const options = listenOptions(args);
    const port = portIn(options);
    const facts = { port, hasOurPort: port !== undefined && port > 0 && ourPorts.has(port) };
    if (candidate && belongsTo(candidate, server, facts)) {
      simulate(server, args, candidate);
      return true;
    }
    if (exported) {
      const isShared = sharesListener(server, exported);
      if (!isShared && !facts.hasOurPort) return false;
      if (!isShared) warn(`the app is served by its export; mpserve does not open its own server on port ${port}`);
    } else {
      if (isChosen || !mayServe(serve, facts)) return false;
      if (candidate && !isPreferred(serve, facts, candidate)) return false;
    }
    const before = candidate;
    const announced = new Promise<void>((resolve) => {
      // After the listeners that the app adds later.
      server.once('listening', () => setImmediate(resolve));
    });
    const listeners = server.listeners('request');
    candidate = { server, options, listeners, captured: new Map(), announced, ...facts };
    simulate(server, args, candidate);
    void announced.then(() => listening.resolve(server));
    if (exported || isCertain(serve, facts)) choose();
    if (before) release(before);
    return true;
  };

  const hook: Listen = function listen(...args) {
    const isCaptured = this instanceof HttpServer && candidate?.captured.has(this) === true;
    if ((isCaptured && this.listening) || secondary?.has(this)) throw alreadyListens();
    if (this instanceof HttpServer && capture(this, args)) return this;
    if (!candidate) uncaptured ??= describeServer(this);
    const options = listenOptions(args);
    if (!secondary?.canShare(options)) return originalListen.apply(this, args);
    attach(this, args);
    secondary.open(this, options, originalListen);
    if (hasLoaded) report();
    return this;
  };
  prototype.listen = hook;
  return {
    /** The server that is the app's if none listens after it; undefined until a server calls `listen()`. */
    get server(): HttpServer | undefined {
      return candidate?.server;
    },
    /** Resolves when the `listening` listeners of the first captured server have run. Never rejects. */
    listening: listening.promise,
    /** Resolves when it is certain which server is the app's, whatever listens later. Never rejects. */
    certain: certain.promise,
    /** Settles on the server that is the app's by now, when its `listening` listeners have run. */
    async choose(): Promise<HttpServer> {
      await listening.promise;
      for (;;) {
        const current = candidate as Candidate;
        await current.announced;
        if (candidate !== current) continue; // one of the listeners has begun to listen with another server
        choose();
        return current.server;
      }
    },
    /**
     * Describes a server that cannot be captured and really listens (`an https.Server`), for the error if the app has no
     * other.
     */
    get uncaptured(): string | undefined {
      return uncaptured;
    },
    /** Where the secondary servers listen. */
    get others(): readonly string[] {
      return secondary?.addresses ?? [];
    },
    /**
     * Declares that the app is `value`, so no server of it has to listen. If it listens all the same, perhaps later, its
     * server is captured too: mpserve does not need it.
     */
    useExport(value: unknown): void {
      exported = value instanceof HttpServer ? value.listeners('request') : [value];
      if (!candidate || candidate.hasOurPort || sharesListener(candidate.server, exported)) return;
      release(candidate);
      candidate = undefined;
    },
    /** The app has loaded: says if its server is closed by now, and if it has more than one, now or when another one listens. */
    loaded(): void {
      hasLoaded = true;
      secondary?.loaded();
      report();
      if (candidate && isClosed(candidate)) reportClosed(candidate);
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

function sharesListener(server: HttpServer, listeners: readonly unknown[]): boolean {
  return server.listeners('request').some((listener) => listeners.includes(listener));
}

function alreadyListens(): Error {
  const error = new Error('Listen method has been called more than once without closing.');
  return Object.assign(error, { code: 'ERR_SERVER_ALREADY_LISTEN' });
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'MpserveWarning', code: 'MPSERVE_SECOND_SERVER' });
}
