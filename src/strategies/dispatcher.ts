// Places the connections that the host of a pool accepts: each on the worker that has its session or that the policy of
// --balance chooses. While no worker is ready, or has room, connections wait in line.
import { type Balancer, responsive } from '../balance/balancer.js';
import { createBalancer } from '../balance/index.js';
import { Sessions } from '../balance/sessions.js';
import type { SessionKey } from '../client/session.js';
import { isBegunByClients } from '../client/session-rule.js';
import type { IncomingConnection } from '../connection/incoming.js';
import type { Given } from '../worker/hand-over.js';
import type { Worker } from '../worker/worker.js';
import type { Hosting } from './strategy.js';
import { WaitingLine } from './waiting-line.js';

export interface DispatcherOptions {
  readonly hosting: Hosting;
  /** Workers that can serve. */
  readonly ready: () => readonly Worker[];
  readonly isEnding: () => boolean;
  /** Of connections that wait until it is known where their sessions are; it adds them there. */
  readonly settling: Set<Promise<void>>;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #sessions: Sessions | undefined;
  readonly #line = new WaitingLine();
  #hosting: Hosting;
  #balance: Balancer;

  constructor(options: DispatcherOptions) {
    const { hosting } = options;
    this.#options = options;
    this.#hosting = hosting;
    this.#balance = createBalancer(hosting.placing);
    this.#sessions = hosting.sessions
      ? new Sessions((count) => this.#hosting.listener.sessionsPlacedAgain(count), !isBegunByClients(hosting.sessions))
      : undefined;
  }

  /** As `BaseStrategy.place`. */
  async place(connection: IncomingConnection): Promise<Given> {
    const { isEnding, settling: allSettling } = this.#options;
    const { session } = connection.facts;
    const settling = session !== undefined && this.#sessions?.settle(session);
    if (settling) {
      allSettling.add(settling);
      await settling;
      allSettling.delete(settling);
    }
    if (!this.#line.isEmpty && !isEnding()) await this.#line.join();
    try {
      return await this.#placeInTurn(connection);
    } catch (error) {
      this.#line.next(); // those behind it would wait for it
      throw error;
    }
  }

  /** From now on by the policy of this hosting. */
  use(hosting: Hosting): void {
    this.#hosting = hosting;
    this.#balance = createBalancer(hosting.placing);
  }

  /** A response of the worker has begun the session. */
  sessionBegan(session: SessionKey, worker: Worker): void {
    this.#sessions?.begin(session, worker);
  }

  /** A worker is ready, or none will be any more. */
  wake(): void {
    if (this.#options.isEnding()) this.#line.end();
    else this.#line.next();
  }

  async #placeInTurn(connection: IncomingConnection): Promise<Given> {
    const { isEnding, ready } = this.#options;
    const { session } = connection.facts;
    for (;;) {
      const choose = () => this.#choose(connection);
      const worker = this.#sessions ? this.#sessions.place(session, ready(), choose) : choose();
      if (worker) {
        const giving = worker.give(connection);
        this.#line.next();
        const given = await giving;
        this.#line.next(); // the worker has come to it
        if (given !== 'refused') return given;
        if (isEnding()) continue; // the line has ended
      } else if (isEnding()) return 'refused';
      if (ready().length > 0) this.#line.nextSoon();
      await this.#line.rejoin();
    }
  }

  /** By the policy of --balance. */
  #choose(connection: IncomingConnection): Worker | undefined {
    const worker = this.#balance(responsive(this.#options.ready()), connection);
    if (worker) this.#hosting.listener.placed?.(this.#hosting.placing.balance);
    return worker;
  }
}
