// The request pipeline, the same in every model: an http.Server that adopts connections, and the stages in front of the
// app. It knows nothing of models, processes and threads.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { App } from '../app/app.js';
import type { Client } from '../client/proxy-header.js';
import { now } from '../clock.js';
import type { Limits } from '../config/config.js';
import { IncomingConnection } from '../connection/incoming.js';
import type { MigrationChannel } from '../migration/channel.js';
import { MigrationSender } from '../migration/sender.js';
import { socketPair } from '../os/descriptor.js';
import { socketFromFd } from '../os/node-socket.js';
import type { RequestInFlight } from '../reports/report.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import { type AdoptingServer, adopt, adoptIdle, createAdoptingServer, timeoutChecks } from './adopting-server.js';
import { forwardEvents } from './app-events.js';
import { appLimits, countConnections, followSettings, lendMethods, type ServerSettings } from './app-server.js';
import { Connection } from './connection.js';
import { awaitsContinue } from './continue.js';
import { Drain, type Migration } from './drain.js';
import { watchEvents } from './event-stream.js';
import { unseal } from './forwarding.js';
import { KeepAlive } from './keep-alive.js';
import { LateAnswers } from './late-answers.js';
import { declaresMore } from './limits.js';
import type { LoopViewer } from './loop-viewer.js';
import { createRequestIds } from './request-id.js';
import type { PipelineResponse } from './response.js';
import { Shedding } from './shedding.js';
import type { Handler } from './stage.js';
import { createStages, type StageOptions, type Stages } from './stages.js';
import { Upgrades } from './upgrades.js';

export { closingFraction } from './drain.js';

export interface PipelineOptions extends StageOptions {
  readonly app: App;
  /** Limits that the user has set, so that the app's own server cannot change them. */
  readonly limitsGiven: readonly (keyof Limits)[];
  /** Another worker has the clients, and forwards their requests. */
  readonly isForwarded: boolean;
  /** The acceptor's limit; at least 1. */
  readonly maxConnections: number;
  /** undefined if connections cannot migrate. */
  readonly migrationChannel: MigrationChannel | undefined;
}

/** A chosen connection that is busy during all of this time does not migrate. */
const rebalanceMs = 1000;

/** `inFlight` returns at most this many requests, because they are sent in one message. */
const maxReported = 64;

export async function createPipeline(options: PipelineOptions): Promise<Pipeline> {
  // The cache asks the app by a connection to the pipeline that it is part of.
  const connect = (client: Client | undefined) => pipeline.connect(client);
  const pipeline: Pipeline = new Pipeline(options, await createStages(options, connect));
  return pipeline;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #stages: Stages;
  /** From the first look on. */
  #viewer: LoopViewer | undefined;
  /** Of connections that have closed. */
  readonly #closedBytes = { received: 0, sent: 0 };
  readonly #server: AdoptingServer;
  readonly #connections = new Set<Connection>();
  readonly #lateAnswers: LateAnswers | undefined;
  readonly #upgrades: Upgrades;
  readonly #keepAlive: KeepAlive;
  readonly #shedding: Shedding;
  readonly #requestId: (req: IncomingMessage) => string;
  readonly #limits: Limits;
  /** For the app's own server. */
  readonly #count: ((socket: Socket) => void) | undefined;
  #migrationChannel: MigrationChannel | undefined;
  #drain: Drain | undefined;
  #rebalancing: MigrationSender<Connection> | undefined;

  constructor(options: PipelineOptions, stages: Stages) {
    const { activity, app, limitsGiven, maxConnections, isForwarded, tell } = options;
    const limits = app.server ? appLimits(options.limits, limitsGiven, app.server) : options.limits;
    this.#options = options;
    this.#stages = stages;
    const ids = createRequestIds();
    this.#requestId = isForwarded ? (req) => unseal(req) || ids(req) : ids;
    this.#keepAlive = new KeepAlive(this.#connections, limits.keepAliveTimeout);
    this.#shedding = new Shedding(this.#connections, maxConnections);
    this.#limits = limits;
    this.#migrationChannel = options.migrationChannel;
    this.#server = createAdoptingServer(limits, isForwarded);
    for (const task of [timeoutChecks(this.#server), this.#keepAlive]) activity.add(task);
    const handle: Handler = (req, res) => {
      res.isInApp = true;
      return app.handle(req, res);
    };
    this.#server.on('request', this.#requestListener(handle));
    if (limits.maxBodySize > 0 || stages.rateLimit || stages.overload) this.#continueLater(limits.maxBodySize);
    this.#lateAnswers = app.isElsewhere ? new LateAnswers(this.#server) : undefined;
    this.#upgrades = new Upgrades(stages, this.#requestId, limits.wsDrain > 0, tell);
    if (!app.server) return;
    // What the client has sent was refused there, if need be.
    const ownSettings = isForwarded ? ['requireHostHeader'] : [];
    followSettings(this.#server, limitsGiven, app.server, ownSettings);
    lendMethods(this.#server, app.server);
    this.#count = countConnections(app.server);
    forwardEvents({
      server: this.#server,
      appServer: app.server,
      listenerFor: (handler) => this.#requestListener(handler),
      upgrades: this.#upgrades,
      tell,
    });
  }

  /** Requests answered so far. */
  get answered(): number {
    return this.#stages.answered;
  }

  /**
   * Serves an accepted connection. Settles when it has closed; never rejects.
   * @param isOwn the client is this process itself
   */
  adopt(incoming: IncomingConnection, isOwn = false): Promise<void> {
    return new Promise((closed) => {
      const { socket } = incoming;
      if (socket.destroyed) return closed();
      const connection = new Connection(incoming, now(), isOwn);
      if (this.#options.clients.proxyToApp || isOwn) connection.showClient();
      this.#connections.add(connection);
      this.#options.activity.connectionOpened();
      if (!isOwn) this.#stages.counting?.opened();
      // With a timeout on all sockets, every byte restarts Node's own timer.
      if (!this.#server.timeout) this.#keepAlive.watch(connection);
      this.#count?.(socket);
      socket.once('close', () => {
        this.#connections.delete(connection);
        this.#options.activity.connectionClosed();
        // After Node has emitted 'close' on the current response. Its request is in the journal until then, and a
        // worker of ppc exits when its connection has closed.
        setImmediate(() => {
          connection.end();
          if (!isOwn) this.#closed(connection);
          closed();
        });
      });
      this.#shedding.added();
      if (connection.requests === 0) adopt(this.#server, socket);
      else this.#adoptIdle(connection);
      this.#drain?.added();
    });
  }

  #closed(connection: Connection): void {
    this.#stages.counting?.closed(connection);
    this.#closedBytes.received += connection.socket.bytesRead;
    this.#closedBytes.sent += connection.socket.bytesWritten;
  }

  /**
   * @param client that the app sees, if it is not the server itself
   * @returns the client's end of a new connection that this pipeline serves
   */
  connect(client?: Client): Socket {
    const [ours, theirs] = socketPair();
    void this.adopt(new IncomingConnection(theirs, { requests: 0, isMigrated: false, client }), true);
    return socketFromFd(ours);
  }

  /** The oldest requests in the app, the oldest first. */
  inFlight(): readonly RequestInFlight[] {
    const inApp = [...this.#connections].filter(({ response }) => !response?.isQueued);
    const all = inApp.flatMap((connection) => connection.inFlight(now()) ?? []);
    return all.sort((a, b) => b.ageMs - a.ageMs).slice(0, maxReported);
  }

  /** What this event loop is doing. */
  async look(how: Look): Promise<Omit<LoopView, 'tid'>> {
    const { LoopViewer } = await import('./loop-viewer.js');
    this.#viewer ??= new LoopViewer();
    return this.#viewer.view({
      connections: this.#connections,
      isDraining: this.#drain !== undefined,
      requests: this.#stages.answered,
      closed: this.#closedBytes,
      last: how === 'wholly' ? this.#stages.lastRequest?.look() : undefined,
    });
  }

  /** Milliseconds that the server has waited for the slowest client; -1 while all clients wait for the app. */
  idleFor(): number {
    const time = now();
    return Math.max(-1, ...[...this.#connections].map((connection) => connection.idleFor(time)));
  }

  /** Closes the connections of the slowest clients; see `shedding`. */
  shed(): void {
    const count = this.#shedding.shed();
    if (count > 0) this.#options.tell({ event: 'connections-shed', count });
  }

  /**
   * Finishes requests in flight, and migrates or closes the connections. After `ms` milliseconds the rest is cut,
   * except idle connections while connections still migrate. Requests that wait for the app (--max-inflight) are refused
   * before.
   * @param migration undefined if the server stops: connections have no other worker to migrate to
   */
  async drain(ms: number, migration?: Migration): Promise<void> {
    const channel = migration && this.#migrationChannel;
    const { drainQuiet: quiet, wsDrain } = this.#limits;
    const { health, overload } = this.#stages;
    if (!migration && health) health.isStopping = true;
    this.#drain ??= new Drain(this.#connections, {
      quiet,
      wsDrain,
      isStop: migration === undefined,
      sender: channel && new MigrationSender(channel, this.#server, this.#connections),
      ms,
      migration,
      refuseWaiting: overload && (() => overload.close()),
      tell: this.#options.tell,
    });
    await this.#drain.finish();
    await new Promise((next) => setImmediate(next)); // the last connection may just have closed
    this.#shedding.stop();
    this.#options.activity.stop();
    this.#stages.end();
  }

  /** In a drain: it has only this time, from now on (milliseconds). */
  drainSooner(ms: number): void {
    this.#drain?.shorten(ms);
  }

  /** Migrates random connections between two requests. @param fraction of all connections, from 0 to 1 */
  rebalance(fraction: number): void {
    if (!this.#migrationChannel || this.#drain) return;
    const chosen = new Set([...this.#connections].filter(() => Math.random() < fraction));
    this.#rebalancing?.stop();
    const isChosen = (connection: Connection) => chosen.has(connection);
    const sender = new MigrationSender(this.#migrationChannel, this.#server, this.#connections, isChosen);
    this.#rebalancing = sender;
    setTimeout(() => sender.stop(), rebalanceMs).unref();
    sender.look();
  }

  /** Sets properties of the server, as an app has set them on its own elsewhere. */
  configure(properties: ServerSettings['properties']): void {
    const { httpAllowHalfOpen, ...others } = properties;
    Object.assign(this.#server, others);
    if (httpAllowHalfOpen && this.#lateAnswers) this.#lateAnswers.isPatient = true;
  }

  /** From now on a request to switch to another protocol gets 501: the app could serve it, but not where it runs. */
  refuseUpgrades(): void {
    for (const name of ['upgrade', 'connect'] as const) {
      if (this.#server.listenerCount(name) > 0) continue;
      this.#server.on(name, (req, socket) => this.#upgrades.refuse(req, socket));
    }
  }

  /** In a drain: no other worker serves any more. */
  serverStops(): void {
    const { health } = this.#stages;
    if (health) health.isStopping = true;
    this.stopMigration();
    this.#drain?.serverStops();
  }

  /** From now on no connection migrates, not even in a drain. */
  stopMigration(): void {
    this.#migrationChannel = undefined;
    this.#rebalancing?.stop();
    this.#drain?.stopMigration();
  }

  /** For a connection that migrated between two requests. */
  #adoptIdle(connection: Connection): void {
    const { keepAliveTimeout } = this.#server;
    if (keepAliveTimeout > 0) connection.idleUntil = now() + keepAliveTimeout;
    adoptIdle(this.#server, connection.socket, () => {
      connection.idleUntil = Number.POSITIVE_INFINITY;
    });
  }

  /** @returns a 'request' listener that passes the request through the stages to `app` */
  #requestListener(app: Handler): (req: IncomingMessage, res: PipelineResponse) => void {
    const handle = this.#stages.before(app);
    const stages = this.#stages;
    const server = this.#server;
    const { isForwarded, identity } = this.#options;
    return (req, res) => {
      const reqId = this.#requestId(req);
      const { method = '', url = '' } = req;
      res.reqId = reqId;
      res.reqMethod = method;
      res.reqUrl = url;
      res.begunAt = now();
      if (isForwarded) res.identity = identity;
      const connection = Connection.of(req.socket);
      res.clientConnection = connection;
      connection?.begin(res);
      stages.begin(res);
      if (this.#limits.wsDrain > 0) watchEvents(res);
      // Node does not count the requests from before a migration.
      const maxRequests = server.maxRequestsPerSocket ?? 0;
      if (maxRequests > 0 && connection && connection.requests >= maxRequests) res.shouldKeepAlive = false;
      this.#drain?.watchEnd(res);
      this.#rebalancing?.expectEnd(res, connection);
      handle(req, res, reqId);
    };
  }

  /**
   * Has the client send a body ("Expect: 100-continue", RFC 9110, section 10.1.1) only when the request goes to the app.
   * @param maxBytes 0 is no limit
   */
  #continueLater(maxBytes: number): void {
    const handle = this.#requestListener((req, res) => {
      res.isInApp = true;
      if (awaitsContinue(res) && !this.#options.app.continues) res.writeContinue();
      return this.#options.app.handle(req, res);
    });
    const refuse = this.#requestListener(() => undefined); // the limit stage answers
    const { server } = this.#options.app;
    this.#server.on('checkContinue', (req, res) => {
      if (server && server.listenerCount('checkContinue') > 0) return; // it is forwarded there, through the same stages
      if (maxBytes > 0 && declaresMore(req, maxBytes)) refuse(req, res);
      else handle(req, res);
    });
  }
}
