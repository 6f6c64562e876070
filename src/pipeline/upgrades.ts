// Requests that switch to another protocol (Upgrade, CONNECT). Node gives up their sockets and makes no response, so they
// pass no stage: what the stages do for other requests is done here.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { now } from '../clock.js';
import type { WorkerEvent } from '../events.js';
import { Connection } from './connection.js';
import { cutFailed, refuseUpgrade } from './failures.js';
import type { Stages } from './stages.js';
import { asksForWebSocket, WebSocketConnection } from './web-socket.js';

export type UpgradeEvent = 'upgrade' | 'connect';

export class Upgrades {
  readonly #stages: Stages;
  readonly #requestId: (req: IncomingMessage) => string;
  readonly #watchesWebSockets: boolean;
  readonly #tell: (event: WorkerEvent) => void;

  /** @param watchesWebSockets for --ws-drain */
  constructor(
    stages: Stages,
    requestId: (req: IncomingMessage) => string,
    watchesWebSockets: boolean,
    tell: (event: WorkerEvent) => void,
  ) {
    this.#stages = stages;
    this.#requestId = requestId;
    this.#watchesWebSockets = watchesWebSockets;
    this.#tell = tell;
  }

  /** Refuses the request, or has `start` pass it to the app. */
  begin(name: UpgradeEvent, req: IncomingMessage, socket: Duplex, start: () => Promise<void>): void {
    const { overload, rateLimit } = this.#stages;
    this.#stages.answered++; // the app continues in another protocol
    const reqId = this.#requestId(req);
    const { method = '', url = '' } = req;
    const connection = Connection.of(req.socket);
    const isWatched = name === 'upgrade' && this.#watchesWebSockets && asksForWebSocket(req);
    connection?.upgrade(
      { reqId, reqMethod: method, reqUrl: url, begunAt: now() },
      isWatched ? new WebSocketConnection(req.socket) : undefined,
    );
    const log = (status: number): void => this.#log(req, socket, reqId, connection, status);
    const refusal = rateLimit?.refusalOf(req, connection);
    if (refusal) {
      log(refusal.status);
      connection?.closesFor('refused');
      refuseUpgrade(refusal, req, socket, reqId);
      return;
    }
    const pass = (): void => {
      log(101);
      start().catch(cutFailed(this.#tell, socket, reqId, method, url));
    };
    const refused = (): void => {
      log(503);
      connection?.closesFor('refused');
    };
    if (overload) overload.upgrade(req, socket, reqId, pass, refused);
    else pass();
  }

  /** Answers the request with 501: the app could serve it, but not where it runs. */
  refuse(req: IncomingMessage, socket: Duplex): void {
    this.#stages.answered++;
    const reqId = this.#requestId(req);
    const connection = Connection.of(req.socket);
    this.#log(req, socket, reqId, connection, 501);
    connection?.closesFor('refused');
    refuseUpgrade({ status: 501 }, req, socket, reqId);
  }

  #log(req: IncomingMessage, socket: Duplex, reqId: string, connection: Connection | undefined, status: number): void {
    const { accessLog, counting } = this.#stages;
    accessLog?.upgraded(req, socket, reqId, connection?.client, status);
    counting?.upgraded(req.method ?? '', status);
  }
}
