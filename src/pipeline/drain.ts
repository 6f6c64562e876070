// Drains the connections of a pipeline: requests in flight finish, and connections migrate if there is a receiver.
// Without one, or near the end of the time, a connection is closed once it has been quiet, so that a request that is on
// its way does not meet a closed socket. docs/decisions/0016-slow-migrations.md explains the times.
import { msUntil, now } from '../clock.js';
import type { WorkerEvent } from '../events.js';
import type { MigrationSender } from '../migration/sender.js';
import type { Connection } from './connection.js';
import { PacedClosing } from './paced-closing.js';
import type { PipelineResponse } from './response.js';

const checkIntervalMs = 100;

/** The last fraction of the drain time: connections no longer migrate, but are closed. */
export const closingFraction = 0.25;

/** After this fraction of the drain time a credit is kept until a connection can migrate. */
const keepCreditFraction = (1 - closingFraction) / 4;

/** How often `onMigrating` is called. */
const reportIntervalMs = 1000;

/** By then other workers that drain at the same time have stopped receiving; they would have to send connections on. */
const migrationDelayMs = 30;

/** Turns of the event loop within which a destroyed socket emits 'close'. */
const maxCloseTurns = 10;

/** A connection without a byte so far is closed after this many times `quiet`: its first request may be on its way. */
const unusedFactor = 5;

export interface Migration {
  /** Migration ends after this time (milliseconds) in which no worker has migrated a connection. */
  readonly stallMs: number;
  /** Called repeatedly while migration takes longer than planned, even after the drain time. */
  readonly onMigrating: () => void;
}

export interface DrainOptions {
  /** --drain-quiet: an idle connection is closed after this time without a byte (milliseconds). */
  readonly quiet: number;
  /** The drain time (milliseconds); connections that wait to migrate may take longer. */
  readonly ms: number;
  /** --ws-drain: WebSockets and event streams are closed within this time (milliseconds); 0 lets them go on. */
  readonly wsDrain: number;
  /** Clients have nothing to return to. */
  readonly isStop: boolean;
  /** undefined: connections do not migrate. */
  readonly sender: MigrationSender<Connection> | undefined;
  readonly migration: Migration | undefined;
  /** Refuses the requests that wait for the app; undefined without --max-inflight. */
  readonly refuseWaiting: (() => void) | undefined;
  readonly tell: (event: WorkerEvent) => void;
}

export class Drain {
  readonly #connections: ReadonlySet<Connection>;
  readonly #options: DrainOptions;
  readonly #stallMs: number;
  readonly #keepCreditFrom: number;
  /** The time that it has (milliseconds). */
  #ms: number;
  /** undefined without --ws-drain. */
  #pacedClosing: PacedClosing | undefined;
  #sender: MigrationSender<Connection> | undefined;
  /** When migration ends; postponed each time a connection migrates. */
  #migrateUntil: number;
  /** The count of migrated connections of all workers, at the last check. */
  #migratedCount: string | undefined;
  /** When `onMigrating` is called next. */
  #reportAt: number;
  /** When the remaining connections are cut. */
  #cutAt: number;
  /** Until requests that wait for the app are refused. */
  #refusing: NodeJS.Timeout | undefined;
  /** The bytes read on each connection at the last check, and since when that number has not changed. */
  readonly #lastRead = new WeakMap<Connection, { bytes: number; since: number }>();

  constructor(connections: ReadonlySet<Connection>, options: DrainOptions) {
    this.#connections = connections;
    this.#options = options;
    this.#sender = options.sender;
    const startedAt = now();
    const { ms, migration, isStop } = options;
    this.#ms = ms;
    const migrationMs = ms * (1 - closingFraction);
    this.#migratedCount = this.#sender?.migratedCount;
    this.#stallMs = this.#migratedCount === undefined ? 0 : Math.max(migrationMs, migration?.stallMs ?? 0);
    this.#migrateUntil = startedAt + Math.max(migrationMs, this.#stallMs);
    this.#reportAt = startedAt + migrationMs;
    this.#keepCreditFrom = startedAt + ms * keepCreditFraction;
    this.#cutAt = startedAt + ms;
    this.#refuseWaitingAfter(migrationMs);
    this.#paceClosing(isStop);
    this.#sender?.holdFor(migrationDelayMs);
    this.#watchResponses();
  }

  /** Settles when no connection is left; cuts the remaining ones in time. */
  async finish(): Promise<void> {
    await new Promise<void>((done) => {
      const check = () => {
        const time = now();
        this.#check(time);
        const isOver = time >= this.#cutAt && !this.#sender;
        if (this.#connections.size > 0 && !isOver) return;
        clearInterval(timer);
        clearTimeout(cutTimer);
        done();
      };
      const timer = setInterval(check, checkIntervalMs);
      const cutTimer = setTimeout(check, msUntil(this.#cutAt) + 1);
      check();
    });
    this.#sender?.stop();
    await this.#cutAll(now());
    clearTimeout(this.#refusing);
  }

  /** Call for each request: after its response the connection migrates or closes. */
  watchEnd(response: PipelineResponse): void {
    const sender = this.#sender;
    if (sender) response.once('close', () => sender.look());
    // Sends "connection: close", if the head has not been sent.
    else if (!response.headersSent) {
      response.shouldKeepAlive = false;
      response.clientConnection?.closesFor('drain');
    }
  }

  /** From now on it has only this time (milliseconds). */
  shorten(ms: number): void {
    this.#ms = ms;
    this.#cutAt = now() + ms;
    this.#paceClosing(this.#pacedClosing?.isStop ?? false);
    setTimeout(() => this.stopMigration(), ms * (1 - closingFraction));
    this.#refuseWaitingAfter(ms * (1 - closingFraction));
  }

  #refuseWaitingAfter(ms: number): void {
    const { refuseWaiting } = this.#options;
    clearTimeout(this.#refusing);
    this.#refusing = refuseWaiting && setTimeout(refuseWaiting, ms);
  }

  #paceClosing(isStop: boolean): void {
    const { wsDrain } = this.#options;
    if (wsDrain === 0) return;
    const answerMs = this.#ms * closingFraction;
    const closingMs = Math.min(wsDrain, this.#ms - answerMs);
    this.#pacedClosing = new PacedClosing(this.#connections, closingMs, answerMs, isStop);
  }

  /** From now on clients have nothing to return to. */
  serverStops(): void {
    if (this.#pacedClosing) this.#pacedClosing.isStop = true;
  }

  /** From now on no connection migrates. */
  stopMigration(): void {
    if (!this.#sender) return;
    this.#sender.stop();
    this.#sender = undefined;
    // Connections that were to migrate still get the closing time.
    if (now() > this.#reportAt) this.#cutAt = Math.max(this.#cutAt, now() + this.#ms * closingFraction);
    this.#watchResponses();
  }

  #watchResponses(): void {
    for (const { lastResponse } of this.#connections) if (lastResponse) this.watchEnd(lastResponse);
  }

  /** Call when a connection was added. */
  added(): void {
    this.#sender?.look();
  }

  #check(time: number): void {
    if (this.#sender?.hasStopped || (time > this.#keepCreditFrom && !this.#isMigrating(time))) this.stopMigration();
    if (time >= this.#cutAt && this.#sender) this.#cutOverdue(time);
    this.#pacedClosing?.check(time);
    if (time > this.#keepCreditFrom) this.#sender?.keepCredit();
    if (this.#sender) this.#sender.look();
    else this.#closeQuiet(time);
  }

  /**
   * Whether connections still migrate, or a worker that is starting may still offer a credit. A connection without a
   * credit waits for the server, not for its client or the app, so it must not be closed because the machine is slow.
   */
  #isMigrating(time: number): boolean {
    const count = this.#sender?.migratedCount;
    if (count !== this.#migratedCount) this.#migrateUntil = Math.max(this.#migrateUntil, time + this.#stallMs);
    this.#migratedCount = count;
    if (time > this.#migrateUntil) return false;
    if (this.#sender && time >= this.#reportAt) {
      this.#reportAt = time + reportIntervalMs;
      this.#options.migration?.onMigrating();
    }
    return true;
  }

  /** Cuts requests that have taken longer than the drain time, while idle connections still migrate. */
  #cutOverdue(time: number): void {
    for (const connection of this.#connections) {
      if ((connection.inFlight(time)?.ageMs ?? 0) >= this.#ms) this.#cutOne(connection, time);
    }
  }

  /** Settles after the sockets' 'close' events, so that the journal does not report these requests as lost. */
  async #cutAll(time: number): Promise<void> {
    for (const connection of this.#connections) this.#cutOne(connection, time);
    for (let turn = 0; turn < maxCloseTurns && this.#connections.size > 0; turn++) {
      await new Promise((next) => setImmediate(next));
    }
  }

  #cutOne(connection: Connection, time: number): void {
    const request = connection.inFlight(time);
    if (request) this.#options.tell({ event: 'request-cut', ...request });
    connection.close('drain');
  }

  #closeQuiet(time: number): void {
    const { quiet } = this.#options;
    for (const connection of this.#connections) {
      const bytes = connection.socket.bytesRead;
      const lastRead = this.#lastRead.get(connection);
      if (lastRead?.bytes !== bytes) this.#lastRead.set(connection, { bytes, since: time });
      else if (connection.betweenRequests && time - lastRead.since >= (bytes === 0 ? unusedFactor * quiet : quiet)) {
        connection.close('drain');
      }
    }
  }
}
