// Counts requests, connections and bytes for the metrics of the server, in memory that outlives the worker, and what there
// is of them at the moment, in the slot of this event loop.
import { now } from '../clock.js';
import { type Part, partOf } from '../memory/parts.js';
import { Counters } from '../metrics/counters.js';
import { closeCauses, type RefusalReason, refusalReasons } from '../metrics/layout.js';
import type { Word } from '../overload/layout.js';
import { SlotTable } from '../overload/slots.js';
import type { Connection } from './connection.js';
import type { OnHead, OnSent, PipelineResponse } from './response.js';
import type { OnClose } from './stage.js';

const refusalIndexes = new Map<RefusalReason, number>(refusalReasons.map((reason, i) => [reason, i]));

export class Counting {
  readonly #counters: Counters;
  /** undefined where the event loop has no slot: while it warms up. */
  readonly #slot: Slot | undefined;

  /** @param loop a number of this event loop */
  constructor(memory: SharedArrayBuffer, loop: number, slot: number | undefined) {
    this.#counters = new Counters(partOf(memory, 'counters'), loop);
    this.#slot = slot === undefined ? undefined : new Slot(partOf(memory, 'places'), slot);
  }

  opened(): void {
    this.#counters.add('opened');
    this.#slot?.change('connections', 1);
  }

  closed(connection: Connection): void {
    this.#bytes(connection);
    this.#counters.add('closedBy', 1, closeCauses.indexOf(connection.closeCause));
    this.#slot?.change('connections', -1);
  }

  begun(res: PipelineResponse): void {
    if (!isOwn(res)) this.#slot?.change('requests', 1);
  }

  readonly refused = (reason: RefusalReason): void => {
    this.#counters.add('refused', 1, refusalIndexes.get(reason));
  };

  readonly accessLinesLost = (count: number): void => {
    this.#counters.add('accessLinesLost', count);
  };

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
    this.#slot?.change('requests', -1);
    const isWhole = writableFinished || isAnsweredEarly;
    if (isCounted || isWhole) {
      if (!isCounted) this.#counters.answered(res.reqMethod, res.statusCode);
      if (!isWhole) this.#counters.add('cut');
      this.#counters.observe('duration', now() - begunAt);
    } else this.#counters.add('unanswered');
    if (!clientConnection) return;
    this.#bytes(clientConnection);
    if (writableFinished && isLast(res)) clientConnection.closesFor('response');
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

class Slot {
  readonly #table: SlotTable;
  readonly #slot: number;

  constructor(part: Part, slot: number) {
    this.#table = new SlotTable(part);
    this.#slot = slot;
    this.#table.use(slot);
  }

  change(name: Word, by: 1 | -1): void {
    Atomics.add(this.#table.words, this.#table.at(this.#slot, name), by);
  }
}

/** The server itself has asked whether the app is ready, or warms up. */
function isOwn({ clientConnection }: PipelineResponse): boolean {
  return clientConnection?.isOwn === true;
}

/** Node closes the connection after the response. `_last`: the app has set the header `Connection: close`. */
function isLast(res: PipelineResponse): boolean {
  return !res.shouldKeepAlive || (res as { readonly _last?: boolean })._last === true;
}
