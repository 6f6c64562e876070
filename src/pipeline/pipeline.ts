// The one path that every request takes in every model: an http.Server that adopts connections, and the stages
// in front of the app. Knows no model, process or thread.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import { now } from '../clock.js';
import type { Limits } from '../config/config.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { errorRecord, type RequestInFlight, type WorkerEvent, type WorkerIdentity } from '../events.js';
import type { LoopJournal } from '../inflight/loop-journal.js';
import type { Destination } from '../log/destination.js';
import type { MigrationChannel } from '../migration/channel.js';
import { MigrationSender } from '../migration/sender.js';
import type { AccessLog } from './access-log.js';
import { type AdoptingServer, adopt, adoptResting, createAdoptingServer, watching } from './adopting-server.js';
import { countAnswers } from './answer-count.js';
import { appLimits } from './app-limits.js';
import type { BusyClock } from './busy.js';
import { Connection } from './connection.js';
import { limitTime } from './deadline.js';
import { Drain, type Migration } from './drain.js';
import { answerEarly, answerFailures } from './failures.js';
import { hasSaidContinue, recordFlights } from './flights.js';
import { KeepAlive } from './keep-alive.js';
import { announcesMore, limitBody } from './limits.js';
import { createRequestIds } from './request-id.js';
import type { NamedResponse } from './response.js';
import { Shedding } from './shedding.js';
import { compose, type Handler, type OnClose, type Stage } from './stage.js';

export { closingShare } from './drain.js';

export interface PipelineOptions {
  readonly app: App;
  readonly limits: Limits;
  /** Those that the app may not change on its own server. */
  readonly limitsGiven: readonly (keyof Limits)[];
  /** Connections at the same time that whoever accepts them allows; at least 1. */
  readonly maxConnections: number;
  readonly accessLog: Destination | undefined;
  /** undefined: nobody asks how busy the app is. */
  readonly busy: BusyClock | undefined;
  /** undefined: no record is kept of what the app is at. */
  readonly flights: LoopJournal | undefined;
  /** Whether to tell what the answers are like. */
  readonly countsAnswers: boolean;
  /** Where connections go when this pipeline is drained; undefined where they cannot. */
  readonly migrationChannel: MigrationChannel | undefined;
  /** For the access log. */
  readonly identity: WorkerIdentity;
  readonly tell: (event: WorkerEvent) => void;
  /** Of this event loop. */
  readonly activity: Activity;
}

/** Connections that have not come to rest by then stay (milliseconds). */
const rebalanceMs = 1000;

/** So many requests are named at once: whoever hears of them may have to take them in one piece. */
const mostNamed = 64;

/** Loads what this configuration needs and nothing else. */
export async function createPipeline(options: PipelineOptions): Promise<Pipeline> {
  const { accessLog, identity, tell } = options;
  if (!accessLog) return new Pipeline(options, undefined);
  const module = await import('./access-log.js');
  const settle = () => options.flights?.writer?.freeLogged();
  return new Pipeline(options, new module.AccessLog(accessLog, identity, tell, settle));
}

export class Pipeline {
  readonly #app: App;
  readonly #accessLog: AccessLog | undefined;
  readonly #stages: readonly Stage[];
  /** The listener for the end of each response: the record first, as the access log may write its lines at once. */
  readonly #onClose: (this: NamedResponse) => void;
  readonly #server: AdoptingServer;
  readonly #connections = new Set<Connection>();
  readonly #keepAlive: KeepAlive;
  readonly #shedding: Shedding;
  readonly #activity: Activity;
  readonly #tell: PipelineOptions['tell'];
  readonly #nameRequest = createRequestIds();
  readonly #limits: Limits;
  #migrationChannel: MigrationChannel | undefined;
  #drain: Drain | undefined;
  /** Sends a part of the connections. */
  #rebalancing: MigrationSender<Connection> | undefined;
  #answered = 0;

  constructor(options: PipelineOptions, accessLog: AccessLog | undefined) {
    const { app, limitsGiven, maxConnections, tell } = options;
    const limits = app.server ? appLimits(options.limits, limitsGiven, app.server) : options.limits;
    const flights = options.flights && recordFlights(options.flights, tell, accessLog !== undefined);
    this.#app = app;
    this.#accessLog = accessLog;
    this.#stages = [
      ...(accessLog ? [accessLog.stage] : []),
      ...(options.busy ? [options.busy.stage] : []),
      answerFailures(tell),
      ...(limits.requestDeadline > 0 ? [limitTime(limits.requestDeadline, answerEarly, tell)] : []),
      ...(limits.maxBodySize > 0 ? [limitBody(limits.maxBodySize)] : []),
      ...(flights ? [flights.stage] : []),
    ];
    this.#onClose = closeListener([
      () => this.#answered++,
      ...(flights ? [flights.onClose] : []),
      ...(accessLog ? [accessLog.onClose] : []),
      ...(options.countsAnswers ? [countAnswers(tell)] : []),
      ...(options.busy ? [options.busy.onClose] : []),
    ]);
    this.#keepAlive = new KeepAlive(this.#connections, limits.keepAliveTimeout);
    this.#shedding = new Shedding(this.#connections, maxConnections);
    this.#tell = tell;
    this.#limits = limits;
    this.#migrationChannel = options.migrationChannel;
    this.#server = createAdoptingServer(limits);
    this.#activity = options.activity;
    for (const task of [watching(this.#server), this.#keepAlive]) this.#activity.add(task);
    this.#server.on(
      'request',
      this.#requests((req, res) => app.handle(req, res)),
    );
    if (limits.maxBodySize > 0) this.#askBeforeContinue(limits.maxBodySize);
    if (app.server) this.#honour(app.server);
  }

  /** Requests answered so far. */
  get answered(): number {
    return this.#answered;
  }

  /** Serves a connection that somebody else accepted. Settles when it has ended; never rejects. */
  adopt(incoming: IncomingConnection): Promise<void> {
    return new Promise((ended) => {
      const { socket, requests } = incoming;
      if (socket.destroyed) return ended();
      const connection = new Connection(socket, requests, now());
      this.#connections.add(connection);
      this.#activity.connectionOpened();
      this.#keepAlive.watch(connection);
      socket.once('close', () => {
        this.#connections.delete(connection);
        this.#activity.connectionClosed();
        // When Node has done the same for the one that had its turn. Until then its requests are in the journal, and a
        // worker for one connection exits when that has ended.
        setImmediate(() => {
          connection.end();
          ended();
        });
      });
      this.#shedding.added();
      if (connection.requests === 0) adopt(this.#server, socket);
      else this.#adoptResting(connection);
      this.#drain?.look();
    });
  }

  /** The requests that are being served now, the oldest first; of a crowd those. */
  inFlight(): readonly RequestInFlight[] {
    const all = [...this.#connections].flatMap((connection) => connection.inFlight(now()) ?? []);
    return all.sort((a, b) => b.ageMs - a.ageMs).slice(0, mostNamed);
  }

  /** For how long the slowest client has kept us waiting, in milliseconds; -1 while all wait for the app. */
  idleFor(): number {
    const time = now();
    return Math.max(-1, ...[...this.#connections].map((connection) => connection.idleFor(time)));
  }

  /** Closes the slowest of the connections whose clients keep us waiting, if any has done so for too long. */
  shed(): void {
    const count = this.#shedding.shed();
    if (count > 0) this.#tell({ event: 'connections-shed', count });
  }

  /**
   * Finishes what is in flight. Connections are given to others, or end with the next answer. What is left after `ms`
   * milliseconds is cut, but for connections at rest while others still go over.
   * @param migration undefined: none is given away
   */
  async drain(ms: number, migration?: Migration): Promise<void> {
    const channel = migration && this.#migrationChannel;
    this.#drain ??= new Drain(this.#connections, {
      quiet: this.#limits.drainQuiet,
      sender: channel && new MigrationSender(channel, this.#server, this.#connections),
      ms,
      migration,
      tell: this.#tell,
    });
    await this.#drain.finish();
    await new Promise((next) => setImmediate(next)); // the last connection may only just have closed
    this.#shedding.stop();
    this.#activity.stop();
    this.#accessLog?.flush();
  }

  /** Has a random part of the connections, from 0 to 1, migrate as they come to rest. */
  rebalance(part: number): void {
    if (!this.#migrationChannel || this.#drain) return;
    const chosen = new Set([...this.#connections].filter(() => Math.random() < part));
    this.#rebalancing?.stop();
    const sender = new MigrationSender(this.#migrationChannel, this.#server, this.#connections, (one) =>
      chosen.has(one),
    );
    this.#rebalancing = sender;
    setTimeout(() => sender.stop(), rebalanceMs).unref();
    sender.look();
  }

  /** From now on no connection migrates, not even in a drain. */
  stopMigration(): void {
    this.#migrationChannel = undefined;
    this.#rebalancing?.stop();
    this.#drain?.stopMigration();
  }

  /** It was carried over between two requests. */
  #adoptResting(connection: Connection): void {
    const { keepAliveTimeout } = this.#limits;
    if (keepAliveTimeout > 0) connection.idleUntil = now() + keepAliveTimeout;
    adoptResting(this.#server, connection.socket, () => {
      connection.idleUntil = Number.POSITIVE_INFINITY;
    });
  }

  /** What Node calls for a request: names it, counts it, and sends it through the stages to `app`. */
  #requests(app: Handler): (req: IncomingMessage, res: NamedResponse) => void {
    const handle = compose(this.#stages, app);
    const { maxRequestsPerConnection: most } = this.#limits;
    return (req, res) => {
      const reqId = this.#nameRequest(req);
      res.reqId = reqId;
      res.begunAt = now();
      res.on('close', this.#onClose);
      const connection = Connection.of(req.socket);
      res.clientConnection = connection;
      connection?.begin(req, res);
      // Node counts those that it has seen; of a connection that was carried over it has not seen all.
      if (most > 0 && connection && connection.requests >= most) res.shouldKeepAlive = false;
      this.#drain?.expectEnd(res);
      this.#rebalancing?.expectEnd(res, connection);
      handle(req, res, reqId);
    };
  }

  /** With a limit on bodies, a client that asks is told before it sends one (RFC 9110, section 10.1.1). */
  #askBeforeContinue(most: number): void {
    const handle = this.#requests((req, res) => {
      if (!hasSaidContinue(res)) res.writeContinue();
      return this.#app.handle(req, res);
    });
    const refuse = this.#requests(() => undefined); // the limit stage answers
    this.#server.on('checkContinue', (req, res) => (announcesMore(req, most) ? refuse : handle)(req, res));
  }

  /**
   * Passes on to the app's own server the events that it may listen to, for as long as it does: Node looks at
   * whether there is a listener at all.
   */
  #honour(appServer: Server): void {
    const server = this.#server;
    const nodes = server.rawListeners('connection');
    // As `emit` would, but what an async listener returns is not dropped, nor what it rejects with.
    const call = async (name: string, ...args: unknown[]): Promise<void> => {
      const listeners = appServer.rawListeners(name).filter((listener) => !nodes.includes(listener));
      await Promise.all(listeners.map((listener) => listener.apply(appServer, args)));
    };
    const exchange = (name: string) => this.#requests((req, res) => call(name, req, res));
    const handOff = (name: string) => (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#answered++; // by the app, in another protocol
      const reqId = this.#nameRequest(req);
      Connection.of(req.socket)?.upgrade(req, reqId, now());
      this.#accessLog?.upgraded(req, socket, reqId);
      call(name, req, socket, head).catch(this.#failed(socket, reqId, req));
    };
    const forwards: Readonly<Record<string, (...args: never[]) => void>> = {
      upgrade: handOff('upgrade'),
      connect: handOff('connect'),
      checkContinue: exchange('checkContinue'),
      checkExpectation: exchange('checkExpectation'),
      clientError: (error: Error, socket: Duplex) => {
        call('clientError', error, socket).catch(this.#failed(socket));
      },
      connection: (socket: Socket) => {
        call('connection', socket).catch(this.#failed(socket));
      },
    };
    const follow = (name: string | symbol, listening: boolean): void => {
      const forward = typeof name === 'string' ? forwards[name] : undefined;
      if (forward === undefined || typeof name !== 'string') return;
      server.removeListener(name, forward as () => void);
      if (listening) server.on(name, forward as () => void);
    };
    for (const name of Object.keys(forwards)) follow(name, appServer.listenerCount(name) > 0);
    appServer.on('newListener', (name) => follow(name, true));
    appServer.on('removeListener', (name) => follow(name, appServer.listenerCount(name) > 0));
  }

  /** Where there is nothing to answer a failure with: tells of it and cuts the connection. */
  #failed(socket: Duplex, reqId = '', { method = '', url = '' }: Partial<IncomingMessage> = {}) {
    return (error: unknown): void => {
      this.#tell({ event: 'request-failed', reqId, method, url, err: errorRecord(error) });
      socket.destroy();
    };
  }
}

function closeListener(listeners: readonly OnClose[]): (this: NamedResponse) => void {
  return function () {
    if (this.isOver) return;
    this.isOver = true;
    for (const told of listeners) told(this);
    this.clientConnection?.finish(this);
  };
}
