// Counts requests, connections and bytes for the metrics of the server, in memory that outlives the worker.
import { now } from '../clock.js';
import type { Part } from '../memory/parts.js';
import { Counters } from '../metrics/counters.js';
import type { Connection } from './connection.js';
import type { OnHead, OnSent, PipelineResponse } from './response.js';
import type { OnClose } from './stage.js';

export class Counting {
  readonly #counters: Counters;

  /** @param loop a number of this event loop */
  constructor(part: Part, loop: number) {
    this.#counters = new Counters(part, loop);
  }

  opened(): void {
    this.#counters.add('opened');
  }

  closed(connection: Connection): void {
    this.#bytes(connection);
    this.#counters.add('closed');
  }

  readonly onHead: OnHead = (res) => {
    if (!isOwn(res)) this.#counters.observe('firstByte', now() - res.begunAt);
  };

  /** Before the last write: the client of a worker that is killed just after it has its response. */
  readonly onSent: OnSent = (res, isSent) => {
    if (!isSent || res.isCounted || isOwn(res)) return;
    res.isCounted = true;
    this.#counters.answered(res.reqMethod, res.statusCode);
  };

  readonly onClose: OnClose = (res) => {
    if (isOwn(res)) return;
    const { isCounted, isAnsweredEarly, writableFinished, clientConnection, begunAt } = res;
    const isWhole = writableFinished || isAnsweredEarly;
    if (isCounted || isWhole) {
      if (!isCounted) this.#counters.answered(res.reqMethod, res.statusCode);
      if (!isWhole) this.#counters.add('cut');
      this.#counters.observe('duration', now() - begunAt);
    } else this.#counters.add('unanswered');
    if (clientConnection) this.#bytes(clientConnection);
  };

  /** A request to switch to another protocol, which the app continues, or the server has refused. */
  upgraded(method: string, status: number): void {
    this.#counters.answered(method, status);
  }

  #bytes(connection: Connection): void {
    const { received, sent } = connection.takeBytes();
    this.#counters.add('received', received);
    this.#counters.add('sent', sent);
  }
}

/** The server itself has asked whether the app is ready, or warms up. */
function isOwn({ clientConnection }: PipelineResponse): boolean {
  return clientConnection?.isOwn === true;
}
