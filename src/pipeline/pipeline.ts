// The request pipeline, the same in every model: an http.Server that adopts connections, and the stages in front of the
// app. It knows nothing of models, processes and threads.
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Activity } from '../activity.js';
import type { App } from '../app/app.js';
import type { SessionKey } from '../client/session.js';
import { now } from '../clock.js';
import type { Config, Limits } from '../config/config.js';
import { IncomingConnection } from '../connection/incoming.js';
import { errorRecord } from '../errors.js';
import type { WorkerEvent } from '../events.js';
import type { LoopJournal } from '../inflight/loop-journal.js';
import type { Destination } from '../log/destination.js';
import { partOf } from '../memory/parts.js';
import type { MigrationChannel } from '../migration/channel.js';
import { MigrationSender } from '../migration/sender.js';
import { socketPair } from '../os/descriptor.js';
import { socketFromFd } from '../os/node-socket.js';
import type { RequestInFlight, WorkerIdentity, WorkerReport } from '../reports/report.js';
import type { Look, LoopView } from '../scoreboard/loop-view.js';
import type { AccessLog } from './access-log.js';
import { type AdoptingServer, adopt, adoptIdle, createAdoptingServer, timeoutChecks } from './adopting-server.js';
import { countAnswers } from './answer-count.js';
import { appLimits, countConnections, followSettings, lendMethods } from './app-server.js';
import type { BusyClock } from './busy.js';
import type { ClientLimit } from './client-limit.js';
import { Connection } from './connection.js';
import { awaitsContinue } from './continue.js';
import type { Counting } from './counting.js';
import { limitDuration } from './deadline.js';
import { closingFraction, Drain, type Migration } from './drain.js';
import { watchEvents } from './event-stream.js';
import { answerFailures, hasBody, refuse, refuseUpgrade } from './failures.js';
import type { HealthChecks } from './health.js';
import { journalRequests } from './journal.js';
import { KeepAlive } from './keep-alive.js';
import type { LastRequest } from './last-request.js';
import { declaresMore, limitBody } from './limits.js';
import type { LoopViewer } from './loop-viewer.js';
import type { Overload } from './overload.js';
import { RateLimitStage } from './rate-limit.js';
import { createRequestIds } from './request-id.js';
import { type OnHead, type OnSent, type PipelineResponse, reportSent } from './response.js';
import { watchSessions } from './sessions.js';
import { Shedding } from './shedding.js';
import type { Handler, OnClose, Stage } from './stage.js';
import { asksForWebSocket, WebSocketConnection } from './web-socket.js';

export { closingFraction } from './drain.js';

export interface PipelineOptions {
  readonly app: App;
  readonly limits: Limits;
  /** Limits that the user has set, so that the app's own server cannot change them. */
  readonly limitsGiven: readonly (keyof Limits)[];
  readonly clients: Config['clients'];
  /** The acceptor's limit; at least 1. */
  readonly maxConnections: number;
  readonly accessLog: Destination | undefined;
  /** undefined unless --scale-on=busy measures the load. */
  readonly busy: BusyClock | undefined;
  /** The in-flight journal; undefined if it is off. */
  readonly journal: LoopJournal | undefined;
  /** That all event loops of the server share; undefined if no option needs it. */
  readonly memory: SharedArrayBuffer | undefined;
  /** Of this event loop, in that memory; undefined without --max-inflight. */
  readonly slot: number | undefined;
  readonly overload: Config['overload'];
  /** Counts in the memory, for --admin. */
  readonly counts: boolean;
  /** For --canary. */
  readonly countsAnswers: boolean;
  readonly sessions: Config['sessions'];
  /** Told of each session that a response begins. */
  readonly onSession: (session: SessionKey) => void;
  /** undefined if connections cannot migrate. */
  readonly migrationChannel: MigrationChannel | undefined;
  /** For the access log. */
  readonly identity: WorkerIdentity;
  readonly tell: (told: WorkerReport | WorkerEvent) => void;
  /** The timers of this event loop. */
  readonly activity: Activity;
}

/** A chosen connection that is busy during all of this time does not migrate. */
const rebalanceMs = 1000;

/** `inFlight` returns at most this many requests, because they are sent in one message. */
const maxReported = 64;

export async function createPipeline(options: PipelineOptions): Promise<Pipeline> {
  return new Pipeline(options, await loadStages(options));
}

/** Those that few servers use. */
interface LoadedStages {
  readonly accessLog?: AccessLog | undefined;
  readonly clientLimit?: ClientLimit | undefined;
  readonly overload?: Overload | undefined;
  readonly counting?: Counting | undefined;
  readonly lastRequest?: LastRequest | undefined;
  readonly health?: HealthChecks | undefined;
}

async function loadStages(options: PipelineOptions): Promise<LoadedStages> {
  const { accessLog, clients, identity, limits, memory, overload, slot, tell } = options;
  const stages: { -readonly [K in keyof LoadedStages]: LoadedStages[K] } = {};
  if (memory && options.counts) {
    const { Counting, LastRequest } = await import('./admin-stages.js');
    stages.counting = new Counting(memory, identity.pid + identity.tid, slot);
    stages.lastRequest = new LastRequest();
  }
  if (accessLog || limits.rateLimit) {
    const { AccessLog, ClientLimit } = await import('./client-stages.js');
    const freeLogged = () => options.journal?.writer?.freeLogged();
    const lost = stages.counting?.accessLinesLost;
    stages.accessLog = accessLog && new AccessLog(accessLog, clients, identity, tell, freeLogged, lost);
    stages.clientLimit = limits.rateLimit && memory && new ClientLimit(limits.rateLimit, memory, clients, tell);
  }
  if (memory && slot !== undefined && overload.maxInflight > 0) {
    const { Overload } = await import('./overload.js');
    const answers = { refuse, refuseUpgrade };
    const part = partOf(memory, 'places');
    const refused = stages.counting?.refused;
    stages.overload = new Overload({ config: overload, part, slot, answers, tell, refused, now });
  } else if (overload.healthPath.length > 0 && overload.maxInflight === 0) {
    const { HealthChecks } = await import('./health.js');
    stages.health = new HealthChecks(overload.healthPath, memory && partOf(memory, 'state'), hasBody);
  }
  return stages;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #accessLog: AccessLog | undefined;
  readonly #rateLimit: RateLimitStage | undefined;
  readonly #overload: Overload | undefined;
  readonly #counting: Counting | undefined;
  readonly #lastRequest: LastRequest | undefined;
  /** From the first look on. */
  #viewer: LoopViewer | undefined;
  /** Of connections that have closed. */
  readonly #closedBytes = { received: 0, sent: 0 };
  readonly #health: HealthChecks | undefined;
  /** The first one is the outermost. */
  readonly #stages: readonly Stage[];
  /**
   * The 'close' listener of each response. It calls the journal first, because the access log may write its line at
   * once.
   */
  readonly #onClose: (this: PipelineResponse) => void;
  readonly #onHead: OnHead | undefined;
  readonly #onSent: OnSent | undefined;
  readonly #server: AdoptingServer;
  readonly #connections = new Set<Connection>();
  readonly #keepAlive: KeepAlive;
  readonly #shedding: Shedding;
  readonly #requestId = createRequestIds();
  readonly #limits: Limits;
  /** For the app's own server. */
  readonly #count: ((socket: Socket) => void) | undefined;
  #migrationChannel: MigrationChannel | undefined;
  #drain: Drain | undefined;
  /** In a drain: then requests that wait for the app are refused. */
  #refusing: NodeJS.Timeout | undefined;
  #rebalancing: MigrationSender<Connection> | undefined;
  #answered = 0;

  constructor(options: PipelineOptions, stages: LoadedStages) {
    const { accessLog, clientLimit, overload, counting, health, lastRequest } = stages;
    const { app, limitsGiven, maxConnections, sessions, tell } = options;
    const { sticky } = sessions;
    const limits = app.server ? appLimits(options.limits, limitsGiven, app.server) : options.limits;
    const refused = counting?.refused;
    const journal = options.journal && journalRequests(options.journal, tell, accessLog !== undefined, refused);
    this.#options = options;
    this.#accessLog = accessLog;
    this.#rateLimit = clientLimit && new RateLimitStage(clientLimit, refused);
    this.#overload = overload;
    this.#counting = counting;
    this.#lastRequest = lastRequest;
    this.#health = health;
    this.#onHead = together(journal?.onHead, counting?.onHead);
    this.#onSent = together(journal?.onSent, counting?.onSent);
    this.#stages = [
      ...(accessLog ? [accessLog.stage] : []),
      ...(options.busy ? [options.busy.stage] : []),
      answerFailures(tell),
      ...(health ? [health.stage] : []),
      ...(this.#rateLimit ? [this.#rateLimit.stage] : []),
      ...(limits.maxBodySize > 0 ? [limitBody(limits.maxBodySize, refused)] : []),
      ...(overload ? [overload.stage] : []),
      ...(limits.requestDeadline > 0 ? [limitDuration(limits.requestDeadline, tell, refused)] : []),
      ...(journal ? [journal.stage] : []),
      ...(sticky ? watchSessions(sticky, options.onSession) : []),
    ];
    this.#onClose = closeListener([
      () => this.#answered++,
      ...(counting ? [counting.onClose] : []),
      ...(lastRequest ? [lastRequest.onClose] : []),
      ...(journal ? [journal.onClose] : []),
      ...(accessLog ? [accessLog.onClose] : []),
      ...(options.countsAnswers ? [countAnswers(tell, options.activity)] : []),
      ...(options.busy ? [options.busy.onClose] : []),
      // The last one, as the next request may start at once.
      ...(overload ? [overload.onClose] : []),
    ]);
    this.#keepAlive = new KeepAlive(this.#connections, limits.keepAliveTimeout);
    this.#shedding = new Shedding(this.#connections, maxConnections);
    this.#limits = limits;
    this.#migrationChannel = options.migrationChannel;
    this.#server = createAdoptingServer(limits);
    for (const task of [timeoutChecks(this.#server), this.#keepAlive]) options.activity.add(task);
    const handle: Handler = (req, res) => {
      res.isInApp = true;
      return app.handle(req, res);
    };
    this.#server.on('request', this.#requestListener(handle));
    if (limits.maxBodySize > 0 || this.#rateLimit || overload) this.#continueLater(limits.maxBodySize);
    if (app.server) {
      followSettings(this.#server, limitsGiven, app.server);
      lendMethods(this.#server, app.server);
      this.#count = countConnections(app.server);
      this.#forwardEvents(app.server);
    }
  }

  /** Requests answered so far. */
  get answered(): number {
    return this.#answered;
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
      if (this.#options.clients.proxyToApp) connection.showClient();
      this.#connections.add(connection);
      this.#options.activity.connectionOpened();
      if (!isOwn) this.#counting?.opened();
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
    this.#counting?.closed(connection);
    this.#closedBytes.received += connection.socket.bytesRead;
    this.#closedBytes.sent += connection.socket.bytesWritten;
  }

  /** @returns the client's end of a new connection that this pipeline serves */
  connect(): Socket {
    const [ours, theirs] = socketPair();
    void this.adopt(new IncomingConnection(theirs), true);
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
      requests: this.#answered,
      closed: this.#closedBytes,
      last: how === 'wholly' ? this.#lastRequest?.look() : undefined,
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
    if (!migration && this.#health) this.#health.isStopping = true;
    this.#drain ??= new Drain(this.#connections, {
      quiet,
      wsDrain,
      isStop: migration === undefined,
      sender: channel && new MigrationSender(channel, this.#server, this.#connections),
      ms,
      migration,
      tell: this.#options.tell,
    });
    this.#refuseWaitingAfter(ms * (1 - closingFraction));
    await this.#drain.finish();
    clearTimeout(this.#refusing);
    await new Promise((next) => setImmediate(next)); // the last connection may just have closed
    this.#shedding.stop();
    this.#options.activity.stop();
    this.#accessLog?.end();
    this.#overload?.flush();
    this.#rateLimit?.flush();
  }

  /** In a drain: it has only this time, from now on (milliseconds). */
  drainSooner(ms: number): void {
    if (!this.#drain) return;
    this.#drain.shorten(ms);
    this.#refuseWaitingAfter(ms * (1 - closingFraction));
  }

  #refuseWaitingAfter(ms: number): void {
    clearTimeout(this.#refusing);
    this.#refusing = this.#overload && setTimeout(() => this.#overload?.close(), ms);
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

  /** In a drain: no other worker serves any more. */
  serverStops(): void {
    if (this.#health) this.#health.isStopping = true;
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
    const handle = this.#stages.reduceRight((next, stage) => stage(next), app);
    const server = this.#server;
    return (req, res) => {
      const reqId = this.#requestId(req);
      const { method = '', url = '' } = req;
      res.reqId = reqId;
      res.reqMethod = method;
      res.reqUrl = url;
      res.begunAt = now();
      res.on('close', this.#onClose);
      res.onHead = this.#onHead;
      if (this.#onSent) reportSent(res, this.#onSent);
      const connection = Connection.of(req.socket);
      res.clientConnection = connection;
      connection?.begin(res);
      this.#lastRequest?.begun(res);
      this.#counting?.begun(res);
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
      if (awaitsContinue(res)) res.writeContinue();
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

  /**
   * Forwards events to the listeners of the app's own server. A forwarding listener exists only while the app has one,
   * because Node behaves differently without a listener.
   */
  #forwardEvents(appServer: Server): void {
    const server = this.#server;
    const nodeListeners = server.rawListeners('connection');
    // Like `emit`, but awaits async listeners, so that rejections are caught.
    const call = async (name: string, ...args: unknown[]): Promise<void> => {
      const listeners = appServer.rawListeners(name).filter((listener) => !nodeListeners.includes(listener));
      await Promise.all(listeners.map((listener) => listener.apply(appServer, args)));
    };
    const forwardRequest = (name: string) =>
      this.#requestListener((req, res) => {
        res.isInApp = true;
        return call(name, req, res);
      });
    const forwardUpgrade = (name: string) => (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#answered++; // the app continues in another protocol
      const reqId = this.#requestId(req);
      const { method = '', url = '' } = req;
      const connection = Connection.of(req.socket);
      const isWatched = name === 'upgrade' && this.#limits.wsDrain > 0 && asksForWebSocket(req);
      connection?.upgrade(
        { reqId, reqMethod: method, reqUrl: url, begunAt: now() },
        isWatched ? new WebSocketConnection(req.socket) : undefined,
      );
      const log = (status: number): void => {
        this.#accessLog?.upgraded(req, socket, reqId, connection?.client, status);
        this.#counting?.upgraded(method, status);
      };
      const refusal = this.#rateLimit?.refusalOf(req, connection);
      if (refusal) {
        log(refusal.status);
        connection?.closesFor('refused');
        return refuseUpgrade(refusal, req, socket, reqId);
      }
      const start = () => {
        log(101);
        call(name, req, socket, head).catch(this.#failed(socket, reqId, method, url));
      };
      if (this.#overload)
        this.#overload.upgrade(req, socket, reqId, start, () => {
          log(503);
          connection?.closesFor('refused');
        });
      else start();
    };
    const forwards: Readonly<Record<string, (...args: never[]) => void>> = {
      upgrade: forwardUpgrade('upgrade'),
      connect: forwardUpgrade('connect'),
      checkContinue: forwardRequest('checkContinue'),
      checkExpectation: forwardRequest('checkExpectation'),
      clientError: (error: Error, socket: Duplex) => call('clientError', error, socket).catch(this.#failed(socket)),
      connection: (socket: Socket) => call('connection', socket).catch(this.#failed(socket)),
      timeout: (socket: Socket) => call('timeout', socket).catch(this.#failed(socket)),
      dropRequest: (req: IncomingMessage, socket: Socket) =>
        call('dropRequest', req, socket).catch(this.#failed(socket)),
    };
    const update = (name: string, hasListener: boolean): void => {
      const forward = forwards[name] as (() => void) | undefined;
      if (!forward) return;
      server.removeListener(name, forward);
      if (hasListener) server.on(name, forward);
    };
    for (const name of Object.keys(forwards)) update(name, appServer.listenerCount(name) > 0);
    appServer.on('newListener', (name) => update(String(name), true));
    appServer.on('removeListener', (name) => update(String(name), appServer.listenerCount(name) > 0));
  }

  /** @returns a function that reports an error which no response can report, and closes the connection */
  #failed(socket: Duplex, reqId = '', method = '', url = '') {
    return (error: unknown): void => {
      this.#options.tell({ event: 'request-failed', reqId, method, url, err: errorRecord(error) });
      socket.destroy();
    };
  }
}

/** One function that calls both, in this order. */
function together<Args extends unknown[]>(
  first: ((...args: Args) => void) | undefined,
  second: ((...args: Args) => void) | undefined,
): ((...args: Args) => void) | undefined {
  if (!first || !second) return first ?? second;
  return (...args) => {
    first(...args);
    second(...args);
  };
}

function closeListener(listeners: readonly OnClose[]): (this: PipelineResponse) => void {
  return function () {
    if (this.isOver) return;
    this.isOver = true;
    for (const onClose of listeners) onClose(this);
    this.clientConnection?.finish();
  };
}
