// --max-inflight: a request waits here until there is a place for it in the app, or is refused. Waiting requests have not
// reached the app: they are not in the in-flight journal, and --request-deadline does not run. Loaded only if it is on.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Config } from '../config/config.js';
import type { WorkerEvent } from '../events.js';
import { reportWords, SharedReport } from '../memory/shared-report.js';
import { Admission } from '../overload/admission.js';
import { head, type Refusal, refusals } from '../overload/layout.js';
import { LocalPlaces, type Room } from '../overload/local-places.js';
import { Places } from '../overload/places.js';
import { Shedder } from '../overload/shedder.js';
import { type Now, type Part, SlotTable } from '../overload/slots.js';
import { Waiter } from '../overload/waiting-queue.js';
import type { RequestFields } from '../reports/report.js';
import type { Answer, refuse, refuseUpgrade } from './failures.js';
import type { PipelineResponse } from './response.js';
import type { OnClose, OnRefused, Stage } from './stage.js';

/** A response whose request waits, or has been in the app since a time of `clock.ts`. */
type State = Waiter | number;

/** A request that was refused, as the log has it. */
type Refused = RequestFields & { readonly waitedMs: number };

/** Each reason is reported this often at most (milliseconds). */
const reportEveryMs = 10_000;

/** For requests that have had places, and wait where they were handed to. */
export interface Rejoining {
  /** The request gives its place back, and waits. @returns false if as many wait as may */
  wait(res: PipelineResponse): boolean;
  /** It has a place again, whether there is room or not. */
  goOn(res: PipelineResponse): void;
  /** It has a place, and has not reached the app. */
  refuse(req: IncomingMessage, res: PipelineResponse, reason: 'queue-full' | 'queue-timeout'): void;
}

/** Where requests are handed to, and may have to wait again. */
export interface RequestRoom extends Room {
  /** Set before the first request. */
  rejoining: Rejoining | undefined;
}

export interface OverloadOptions {
  readonly config: Config['overload'];
  /** Of the memory that all event loops share. */
  readonly part: Part;
  /** Of this event loop. */
  readonly slot: number;
  /** Where the requests go; undefined where the app is on this event loop, and `maxInflight` limits them. */
  readonly room: RequestRoom | undefined;
  readonly answers: {
    readonly refuse: typeof refuse;
    readonly refuseUpgrade: typeof refuseUpgrade;
  };
  readonly tell: (event: WorkerEvent) => void;
  readonly refused: OnRefused | undefined;
  readonly now: Now;
}

export class Overload {
  readonly #admission: Admission;
  readonly #reports: Readonly<Record<Refusal, SharedReport<Refused>>>;
  readonly #isHealthPath: (path: string) => boolean;
  readonly #isPriorityPath: (path: string) => boolean;
  readonly #refusal: Answer;
  readonly #answers: OverloadOptions['answers'];
  readonly #refused: OnRefused | undefined;
  readonly #now: Now;
  readonly #states = new Map<PipelineResponse, State>();

  constructor({ config, part, slot, room, answers, tell, refused, now }: OverloadOptions) {
    const { queueMax, queueTimeout, shed, healthPath, priorityPath } = config;
    const table = new SlotTable(part);
    const places = room && new LocalPlaces(table, slot, queueMax, now, room);
    this.#admission = new Admission({
      places: places ?? new Places(table, slot, config, now),
      queueTimeout,
      shedder: shed && new Shedder(table.numbers, shed),
      now,
    });
    if (room && places) {
      room.onRoom = () => {
        places.settle();
        this.#admission.lookSoon();
      };
      room.rejoining = this.#rejoining(places);
    }
    const reports = refusals.map((reason, index) => {
      const report = (count: number, last: Refused) => tell({ event: 'overloaded', reason, count, ...last });
      return [reason, new SharedReport(table.words, head.reports + index * reportWords, reportEveryMs, now, report)];
    });
    this.#reports = Object.fromEntries(reports);
    this.#isHealthPath = (path) => healthPath.includes(path);
    this.#isPriorityPath = (path) => priorityPath.some((one) => path === one || path.startsWith(asDirectory(one)));
    this.#refusal = { status: 503, headers: { 'retry-after': String(Math.ceil(queueTimeout / 1000)) } };
    this.#answers = answers;
    this.#refused = refused;
    this.#now = now;
  }

  readonly stage: Stage = (next) => (req, res, reqId) => {
    if (res.clientConnection?.isOwn || this.#isHealthCheck(req)) return next(req, res, reqId);
    // The answer of a pipelined request has to wait for that of an earlier one, which may wait here.
    const isPriority = res.socket !== null && this.#isPriorityPath(pathOf(req));
    if (this.#admission.enter(isPriority)) {
      this.#begin(res);
      return next(req, res, reqId);
    }
    return new Promise((resolve, reject) => {
      const since = this.#now();
      const start = () => {
        this.#begin(res);
        try {
          resolve(next(req, res, reqId));
        } catch (error) {
          reject(error);
        }
      };
      const waiter = new Waiter(since, isPriority, start, (reason) => {
        res.isQueued = false;
        this.#states.delete(res);
        this.#report(reason, since, req, reqId);
        this.#answers.refuse(this.#refusal, req, res, reqId);
        resolve(undefined);
      });
      res.isQueued = true;
      this.#states.set(res, waiter);
      this.#admission.wait(waiter);
    });
  };

  readonly onClose: OnClose = (res) => {
    const state = this.#states.get(res);
    this.#states.delete(res);
    if (state instanceof Waiter) this.#admission.leave(state);
    // It was cut, which says nothing of how long the app takes for a response.
    else if (typeof state === 'number') this.#admission.end(undefined);
  };

  /**
   * A request that switches to another protocol has its place until the app writes its answer, such as 101, or the
   * connection closes. @param onRefused called if it gets 503 instead of `start`
   */
  upgrade(req: IncomingMessage, socket: Duplex, reqId: string, start: () => void, onRefused: () => void): void {
    const begin = () => {
      let hasPlace = true;
      const end = () => {
        if (hasPlace) this.#admission.end(undefined);
        hasPlace = false;
      };
      onFirstWrite(socket, end);
      socket.once('close', end);
      start();
    };
    const isPriority = this.#isPriorityPath(pathOf(req));
    if (this.#admission.enter(isPriority)) {
      begin();
      return;
    }
    const since = this.#now();
    const ignore = () => {}; // the app has no listener yet
    const leave = () => this.#admission.leave(waiter);
    const stopWaiting = () => void socket.off('error', ignore).off('close', leave);
    const beginLater = () => {
      stopWaiting();
      begin();
    };
    const waiter = new Waiter(since, isPriority, beginLater, (reason) => {
      socket.off('close', leave);
      onRefused();
      this.#report(reason, since, req, reqId);
      this.#answers.refuseUpgrade(this.#refusal, req, socket, reqId);
    });
    socket.on('error', ignore).on('close', leave);
    this.#admission.wait(waiter);
  }

  /** Refuses the requests that wait, and those that would have to wait from now on. */
  close(): void {
    this.#admission.close();
  }

  /** Reports refusals that no event loop has reported. */
  flush(): void {
    for (const report of Object.values(this.#reports)) report.flush();
  }

  #rejoining(places: LocalPlaces): Rejoining {
    return {
      wait: (res) => {
        if (!places.rejoin()) return false;
        res.isQueued = true;
        this.#admission.lookSoon();
        return true;
      },
      goOn: (res) => {
        places.goOn();
        res.isQueued = false;
        if (this.#states.has(res)) this.#states.set(res, this.#now());
      },
      refuse: (req, res, reason) => {
        if (this.#states.delete(res)) this.#admission.end(undefined);
        res.isInApp = false;
        this.#report(reason, res.begunAt, req, res.reqId);
        this.#answers.refuse(this.#refusal, req, res, res.reqId);
      },
    };
  }

  #begin(res: PipelineResponse): void {
    res.isQueued = false;
    this.#states.set(res, this.#now());
    // Node emits it when the app ends the response. How fast the client reads the rest does not matter: clients that do not
    // read would otherwise keep the places of all others. Where Node does not, 'close' comes later.
    res.once('prefinish', () => {
      const begunAt = this.#states.get(res);
      if (typeof begunAt !== 'number') return;
      this.#states.delete(res);
      this.#admission.end(this.#now() - begunAt);
    });
  }

  #isHealthCheck(req: IncomingMessage): boolean {
    return (req.method === 'GET' || req.method === 'HEAD') && this.#isHealthPath(pathOf(req));
  }

  #report(reason: Refusal, since: number, { method = '', url = '' }: IncomingMessage, reqId: string): void {
    this.#refused?.(reason);
    this.#reports[reason].add({ reqId, method, url, waitedMs: Math.round(this.#now() - since) });
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function asDirectory(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

/** Calls `told` at the first `write()`, before the bytes are written. */
function onFirstWrite(socket: Duplex, told: () => void): void {
  const inner = socket.write as (...args: unknown[]) => boolean;
  let isFirst = true;
  // Stays where it is: the app may have put a function of its own around this one.
  socket.write = (...args: unknown[]) => {
    if (isFirst) told();
    isFirst = false;
    return inner.apply(socket, args);
  };
}
