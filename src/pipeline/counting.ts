// Counts requests, connections and bytes for the metrics of the server, in memory that outlives the worker, and what there
// is of them at the moment, in the slot of this event loop.
import { now } from '../clock.js';
import { type Part, partOf } from '../memory/parts.js';
import { Counters } from '../metrics/counters.js';
import { closeCauses, type RefusalReason, refusalReasons } from '../metrics/layout.js';
import type { LoopSlot } from '../overload/layout.js';
import { SlotTable } from '../overload/slots.js';
import type { Connection } from './connection.js';
import type { OnHead, PipelineResponse } from './response.js';
import type { OnClose } from './stage.js';

/** The bytes of a connection that stays open are counted when a response ends, but not more often (milliseconds). */
const bytesEveryMs = 250;

/** A kernel takes as many bytes of a response at once. */
const smallBytes = 16_384;

const refusalIndexes = new Map<RefusalReason, number>(refusalReasons.map((reason, i) => [reason, i]));

export class Counting {
  readonly #counters: Counters;
  /** undefined where the event loop has no slot: while it warms up. */
  readonly #slot: Slot | undefined;

  constructor(memory: SharedArrayBuffer, slot: LoopSlot | undefined) {
    this.#counters = new Counters(partOf(memory, 'counters'), slot);
    this.#slot = slot && new Slot(partOf(memory, 'places'), slot);
  }

  opened(): void {
    this.#counters.add('opened');
    this.#slot?.change('connections', 1);
  }

  closed(connection: Connection): void {
    this.#bytes(connection, 0);
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

  /** Before anything is written: the client of a worker that is killed just after it may have its response. */
  readonly onHead: OnHead = (res) => {
    if (isOwn(res)) return;
    this.#counters.answered(res.reqMethod, res.statusCode);
    const headAt = now();
    this.#counters.observe('firstByte', headAt - res.begunAt);
    if (isSmall(res)) res.endedAt = headAt;
  };

  readonly onClose: OnClose = (res) => {
    if (isOwn(res)) return;
    const { headersSent, isAnsweredEarly, writableFinished, clientConnection, begunAt } = res;
    // A small response is over as soon as it begins. To read the clock once more takes as long as all else here.
    const endedAt = res.endedAt || now();
    res.endedAt = endedAt;
    this.#slot?.change('requests', -1);
    if (headersSent) {
      if (!writableFinished && !isAnsweredEarly) this.#counters.add('cut');
      this.#counters.observe('duration', endedAt - begunAt);
    } else this.#counters.add('unanswered');
    if (!clientConnection) return;
    if (clientConnection.bytesDueAt <= endedAt) this.#bytes(clientConnection, endedAt);
    if (writableFinished && isLast(res)) clientConnection.closesFor('response');
  };

  /** A request to switch to another protocol, which the app continues, or the server has refused. */
  upgraded(method: string, status: number): void {
    this.#counters.answered(method, status);
  }

  #bytes(connection: Connection, time: number): void {
    connection.bytesDueAt = time + bytesEveryMs;
    const { received, sent } = connection.takeBytes();
    this.#counters.add('received', received);
    this.#counters.add('sent', sent);
  }
}

class Slot {
  readonly #words: Int32Array;
  readonly #isShared: boolean;
  /** Indexes of the words that it changes. */
  readonly #at: Readonly<Record<'requests' | 'connections', number>>;

  constructor(part: Part, { index, isShared }: LoopSlot) {
    const table = new SlotTable(part);
    table.use(index);
    this.#words = table.words;
    this.#isShared = isShared;
    this.#at = { requests: table.at(index, 'requests'), connections: table.at(index, 'connections') };
  }

  change(name: 'requests' | 'connections', by: 1 | -1): void {
    const at = this.#at[name];
    if (this.#isShared) Atomics.add(this.#words, at, by);
    else this.#words[at] = (this.#words[at] as number) + by;
  }
}

/** The server itself has asked whether the app is ready, or warms up. */
function isOwn({ clientConnection }: PipelineResponse): boolean {
  return clientConnection?.isOwn === true;
}

/** All of it is written together with its head. Node has set `_contentLength` when the head is made by `end()`. */
function isSmall(res: PipelineResponse): boolean {
  const length = (res as { readonly _contentLength?: number | null })._contentLength;
  return typeof length === 'number' && length <= smallBytes;
}

/** Node closes the connection after the response. `_last`: the app has set the header `Connection: close`. */
function isLast(res: PipelineResponse): boolean {
  return !res.shouldKeepAlive || (res as { readonly _last?: boolean })._last === true;
}
