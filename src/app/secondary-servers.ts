// The servers of the app that mpserve does not serve: each stays a real server of Node, and accepts in this worker, but its
// socket comes from the host, which has one for all workers. To the app it looks as if it had bound its address itself.
import { isIP, Server } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import type { GiveBack, RequestSocket, SecondaryAddress, SecondaryAnswer } from '../secondary/address.js';
import { describeAddress, type Listen, type ListenOptions, pathIn, portIn } from './listen-options.js';
import { type ServerAddress, SimulatedListening } from './simulated-listening.js';

/** A host that has not answered by then never will (milliseconds). */
const answerMs = 30_000;

/** Node's servers of HTTP have these. */
type HttpLike = Server & { closeIdleConnections?(): void };

export class SecondaryServers {
  readonly #request: RequestSocket;
  readonly #servers = new Map<Server, SecondaryServer>();
  #isLoaded = false;
  #onPort0 = 0;

  constructor(request: RequestSocket) {
    this.#request = request;
  }

  /** Where they listen, in words, in the order in which they began to. */
  get addresses(): readonly string[] {
    return [...this.#servers.values()].map(({ name }) => name);
  }

  /** The app has loaded: from now on a server on port 0 is this worker's own, as it lives for as long as a task of it. */
  loaded(): void {
    this.#isLoaded = true;
  }

  /** Whether other workers can listen on the same socket. The others are left to Node. */
  canShare(options: ListenOptions): boolean {
    const { exclusive, reusePort, fd, handle, _handle } = options;
    if (exclusive || reusePort || fd !== undefined || handle || _handle) return false;
    const port = portIn(options);
    if (port === 0) return !this.#isLoaded;
    return port !== undefined || pathIn(options) !== undefined;
  }

  /** The server listens already, or is about to. */
  has(server: Server): boolean {
    return this.#servers.has(server);
  }

  /**
   * @param listen Node's `listen()`
   * @param simulated what the app has seen of the server so far, if that is anything
   */
  open(server: Server, options: ListenOptions, listen: Listen, simulated?: SimulatedListening): void {
    const index = portIn(options) === 0 ? this.#onPort0++ : 0;
    const onEnd = (): void => void this.#servers.delete(server);
    const secondary = new SecondaryServer(server, options, listen, this.#request, onEnd);
    this.#servers.set(server, secondary);
    secondary.start(index, simulated);
  }

  /**
   * Accepts no more, and has HTTP clients go elsewhere with their next request.
   * @param quietMs after which an idle connection of HTTP is closed. @returns settles when all connections have ended
   */
  async drain(quietMs: number): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.drain(quietMs)));
  }
}

class SecondaryServer {
  readonly name: string;
  readonly #server: HttpLike;
  readonly #options: ListenOptions;
  readonly #listen: Listen;
  readonly #request: RequestSocket;
  readonly #onEnd: () => void;
  #giveBack: GiveBack = () => {};
  /** Absent while the server has its socket. */
  #simulated: SimulatedListening | undefined;
  /** The app has had the event 'listening'. */
  #isTold = false;
  #waiting: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(server: Server, options: ListenOptions, listen: Listen, request: RequestSocket, onEnd: () => void) {
    this.name = describeAddress(options);
    this.#server = server;
    this.#options = options;
    this.#listen = listen;
    this.#request = request;
    this.#onEnd = onEnd;
  }

  /** @param index of the servers on port 0 */
  start(index: number, simulated: SimulatedListening | undefined): void {
    this.#isTold = simulated?.isTold ?? false;
    const seen = this.#isTold ? this.#server.address() : null;
    simulated?.end();
    this.#simulated = new SimulatedListening(this.#server, () => this.#leave(true));
    if (this.#isTold) this.#simulated.begin(seen, true);
    // Not unref'd: while the app loads, this is work that is pending.
    this.#waiting = setTimeout(() => this.#fail({ code: 'ETIMEDOUT' }), answerMs);
    const { host } = this.#options;
    const isName = typeof host === 'string' && host !== '' && isIP(host) === 0 && pathIn(this.#options) === undefined;
    if (!isName) {
      this.#ask(index, typeof host === 'string' && host !== '' ? host : undefined);
      return;
    }
    process.getBuiltinModule('node:dns').lookup(host, (error, address) => {
      if (this.#isOver) return;
      if (error) this.#emit(error);
      else this.#ask(index, address);
    });
  }

  drain(quietMs: number): Promise<void> {
    const wasReal = !this.#simulated;
    this.#leave(false);
    if (!wasReal) return Promise.resolve();
    const server = this.#server;
    const address = server.address();
    // Not its own `close`: that of http closes idle connections at once, on which a request may be on its way.
    const closed = new Promise<void>((resolve) => void Server.prototype.close.call(server, () => resolve()));
    new SimulatedListening(server, () => {}).begin(address, true); // the app may still close it
    if (!server.closeIdleConnections) return closed;
    server.prependListener('request', ({ httpVersionMajor }, response) => {
      if (httpVersionMajor === 1) response.setHeader('connection', 'close');
    });
    // A connection that is idle by then has had no request since, unless one waits to be read: that is done first.
    setTimeout(() => setImmediate(() => server.closeIdleConnections?.()), quietMs).unref();
    return closed;
  }

  #ask(index: number, host: string | undefined): void {
    // Its message would not be accepted; no system has paths of sockets that are as long.
    if ((pathIn(this.#options)?.length ?? 0) > 1000) {
      this.#fail({ code: 'EINVAL' });
      return;
    }
    this.#giveBack = this.#request(this.#address(index, host), (answer) => this.#take(answer, host));
  }

  #address(index: number, host: string | undefined): SecondaryAddress {
    const { ipv6Only, readableAll, writableAll } = this.#options;
    const path = pathIn(this.#options);
    if (path !== undefined) {
      const mode = (0o777 & ~process.umask()) | (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
      return { kind: 'unix', path, mode };
    }
    return {
      kind: 'tcp',
      port: portIn(this.#options) ?? 0,
      ...(host !== undefined && { host }),
      ...(index > 0 && { index }),
      ...(ipv6Only === true && { ipv6Only }),
    };
  }

  #take(answer: SecondaryAnswer, host: string | undefined): void {
    clearTimeout(this.#waiting);
    if ('code' in answer) this.#fail(answer, host);
    else if (answer.fd === undefined) this.#waitForSocket(answer.address);
    else this.#accept(answer.fd, answer.address);
  }

  /** Another worker accepts for now. */
  #waitForSocket(address: ServerAddress): void {
    this.#simulated?.begin(this.#seen(address), this.#isTold);
    this.#isTold = true;
  }

  #accept(fd: number, address: ServerAddress): void {
    const server = this.#server;
    this.#simulated?.end();
    this.#simulated = undefined;
    if (this.#isTold) withoutListening(server);
    this.#isTold = true;
    const backlog = Number(this.#options.backlog) || undefined;
    this.#listen.call(server, { fd }, backlog);
    const close = server.close;
    const own = {
      close: (...args: Parameters<typeof close>) => {
        this.#leave(true);
        restore();
        return close.apply(server, args);
      },
      // Node does not know the path of a descriptor.
      ...(typeof address === 'string' && { address: () => (server.listening ? this.#seen(address) : null) }),
    };
    const restore = override(server, own);
    server.once('close', () => this.#leave(true)); // if it is closed in another way
  }

  /** As the app has named it. */
  #seen(address: ServerAddress): ServerAddress {
    return typeof address === 'string' ? String(this.#options.path) : address;
  }

  #fail(answer: Failure, host = '::'): void {
    const address = pathIn(this.#options) === undefined ? host : String(this.#options.path);
    this.#emit(listenError(answer, address, portIn(this.#options) ?? -1));
  }

  #emit(error: Error): void {
    this.#simulated?.end();
    this.#leave(false);
    const server = this.#server;
    process.nextTick(() => server.emit('error', error)); // out of the code that was told of the answer
  }

  #leave(isClosed: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#waiting);
    this.#giveBack(isClosed);
    this.#onEnd();
  }
}

type Failure = Extract<SecondaryAnswer, { readonly code: string }>;

/** As Node makes it. */
function listenError({ code, reason }: Failure, address: string, port: number): Error {
  const [errno, [, words]] = [...getSystemErrorMap()].find(([, [name]]) => name === code) ?? [undefined, [code, code]];
  const where = port > 0 ? `${address}:${port}` : address;
  const error = new Error(`listen ${code}: ${reason ?? words} ${where}`);
  return Object.assign(error, { code, ...(errno !== undefined && { errno }), syscall: 'listen', address, port });
}

/** Node emits the event once more, now that the server has its socket. */
function withoutListening(server: Server): void {
  const emit = server.emit as (...args: unknown[]) => boolean;
  const restore = override(server, {
    emit: (name: unknown, ...args: unknown[]) => {
      if (name !== 'listening' && name !== 'error') return emit.call(server, name, ...args);
      restore();
      return name === 'listening' || emit.call(server, name, ...args);
    },
  });
}

/** Replaces methods of this server. @returns a function that restores them */
function override(server: Server, methods: Readonly<Record<string, unknown>>): () => void {
  const before = Object.keys(methods).map((name) => [name, Object.getOwnPropertyDescriptor(server, name)] as const);
  for (const [name, value] of Object.entries(methods))
    Object.defineProperty(server, name, { value, configurable: true, writable: true });
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(server, name, descriptor);
      else delete (server as unknown as Record<string, unknown>)[name];
    }
  };
}
