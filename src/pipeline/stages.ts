// The stages that a request passes before the app, in their order, and what is told when its response begins and ends.
// Those that the configuration does not need are left out, and those that few servers use are loaded only for them.
import type { Socket } from 'node:net';
import type { Activity } from '../activity.js';
import type { Client } from '../client/proxy-header.js';
import { now } from '../clock.js';
import type { CacheSettings, Config, Limits, ServedFiles } from '../config/config.js';
import type { WorkerEvent } from '../events.js';
import type { Coding } from '../http/coding-name.js';
import type { LoopJournal } from '../inflight/loop-journal.js';
import type { Destination } from '../log/destination.js';
import { partOf } from '../memory/parts.js';
import type { LoopSlot } from '../overload/layout.js';
import type { WorkerIdentity, WorkerReport } from '../reports/report.js';
import type { AccessLog } from './access-log.js';
import { countAnswers } from './answer-count.js';
import type { BusyClock } from './busy.js';
import type { ResponseCache } from './cache.js';
import type { ClientLimit } from './client-limit.js';
import type { Counting } from './counting.js';
import { limitDuration } from './deadline.js';
import { answerFailures, hasBody, refuse, refuseUpgrade } from './failures.js';
import type { HealthChecks } from './health.js';
import { journalRequests } from './journal.js';
import type { LastRequest } from './last-request.js';
import { limitBody } from './limits.js';
import type { Overload, RequestRoom } from './overload.js';
import { RateLimitStage } from './rate-limit.js';
import { idHeader, type OnHead, type OnSent, type PipelineResponse, reportSent } from './response.js';
import { type OnSession, watchSessions } from './sessions.js';
import type { Handler, OnClose, Stage } from './stage.js';
import type { StaticStage } from './static-files.js';

export interface StageOptions {
  readonly limits: Limits;
  readonly clients: Config['clients'];
  /** undefined if others serve them, and while the worker warms up. */
  readonly files: ServedFiles | undefined;
  readonly accessLog: Destination | undefined;
  readonly access: Config['access'];
  /** undefined unless --scale-on=busy measures the load. */
  readonly busy: BusyClock | undefined;
  /** The in-flight journal; undefined if it is off. */
  readonly journal: LoopJournal | undefined;
  /** That all event loops of the server share; undefined if no option needs it. */
  readonly memory: SharedArrayBuffer | undefined;
  /** That of the cache; undefined unless all event loops of the server share one. */
  readonly cacheMemory?: SharedArrayBuffer | undefined;
  /** Of this event loop, in that memory; undefined if nothing is counted there. */
  readonly slot: LoopSlot | undefined;
  /** Where the app hands its requests to, which wait for that; undefined where it handles them itself. */
  readonly room?: RequestRoom | undefined;
  readonly overload: Config['overload'];
  /** undefined without --cache, and where others have it. */
  readonly cache: CacheSettings | undefined;
  /** Of the app's answers, those that are preferred first; undefined without --compress, and where others do it. */
  readonly compress: readonly Coding[] | undefined;
  /** Counts in the memory, for --admin. */
  readonly counts: boolean;
  /** For --canary. */
  readonly countsAnswers: boolean;
  readonly sessions: Config['sessions'];
  /** Told of each session that a response begins. */
  readonly onSession: OnSession;
  /** For the access log. */
  readonly identity: WorkerIdentity;
  readonly tell: (told: WorkerReport | WorkerEvent) => void;
  /** The timers of this event loop. */
  readonly activity: Activity;
}

/** Those that few servers use. */
interface LoadedStages {
  readonly accessLog?: AccessLog | undefined;
  readonly clientLimit?: ClientLimit | undefined;
  readonly overload?: Overload | undefined;
  readonly counting?: Counting | undefined;
  readonly lastRequest?: LastRequest | undefined;
  readonly health?: HealthChecks | undefined;
  readonly files?: StaticStage | undefined;
  readonly cache?: ResponseCache | undefined;
  readonly compress?: Stage | undefined;
}

/** @param connect connects to the pipeline of these stages, in the name of a client */
export async function createStages(options: StageOptions, connect: Connect): Promise<Stages> {
  return new Stages(options, await loadStages(options, connect));
}

type Connect = (client: Client | undefined) => Socket;

async function loadStages(options: StageOptions, connect: Connect): Promise<LoadedStages> {
  const { accessLog, clients, files, identity, limits, memory, overload, room, slot, tell } = options;
  const stages: { -readonly [K in keyof LoadedStages]: LoadedStages[K] } = {};
  if (memory && options.counts) {
    const { Counting, LastRequest } = await import('./admin-stages.js');
    stages.counting = new Counting(memory, slot);
    stages.lastRequest = new LastRequest();
  }
  if (accessLog || limits.rateLimit) {
    const { AccessLog, ClientLimit } = await import('./client-stages.js');
    const freeLogged = () => options.journal?.writer?.freeLogged();
    const lost = stages.counting?.accessLinesLost;
    if (accessLog) {
      const { access, activity } = options;
      const onWritten = freeLogged;
      stages.accessLog = new AccessLog({
        destination: accessLog,
        access,
        clients,
        identity,
        activity,
        tell,
        onWritten,
        lost,
      });
    }
    stages.clientLimit = limits.rateLimit && memory && new ClientLimit(limits.rateLimit, memory, clients, tell);
  }
  if (memory && slot !== undefined && (overload.maxInflight > 0 || room)) {
    const { Overload } = await import('./overload.js');
    const answers = { refuse, refuseUpgrade };
    const part = partOf(memory, 'places');
    const refused = stages.counting?.refused;
    stages.overload = new Overload({ config: overload, part, slot: slot.index, room, answers, tell, refused, now });
  }
  if (overload.healthPath.length > 0 && overload.maxInflight === 0) {
    const { HealthChecks } = await import('./health.js');
    stages.health = new HealthChecks(overload.healthPath, memory && partOf(memory, 'state'), hasBody);
  }
  if (files && (files.static.length > 0 || files.root !== undefined)) {
    const { StaticStage } = await import('./static-files.js');
    stages.files = await StaticStage.create(files, tell);
  }
  if (memory && options.cache) {
    const { createCache } = await import('./cache-stage.js');
    stages.cache = await createCache({
      settings: options.cache,
      healthPath: overload.healthPath,
      memory: {
        counters: partOf(memory, 'counters'),
        places: partOf(memory, 'places'),
        purges: partOf(memory, 'purges'),
        storeState: partOf(memory, 'storeState'),
        purgeLog: partOf(memory, 'purgeLog'),
        hashKey: partOf(memory, 'hashKey'),
      },
      shared: options.cacheMemory,
      slot,
      connect,
      tell,
      ...{ refuse, now, idHeader },
    });
  }
  if (options.compress) {
    const { compressResponses } = await import('./compress-stage.js');
    stages.compress = compressResponses(options.compress);
  }
  return stages;
}

export class Stages {
  readonly accessLog: AccessLog | undefined;
  readonly rateLimit: RateLimitStage | undefined;
  readonly overload: Overload | undefined;
  readonly counting: Counting | undefined;
  readonly lastRequest: LastRequest | undefined;
  readonly health: HealthChecks | undefined;
  /** Requests answered so far, those included that have switched to another protocol. */
  answered = 0;
  /** The first one is the outermost. */
  readonly #inOrder: readonly Stage[];
  /**
   * The 'close' listener of each response. It calls the journal first, because the access log may write its line at
   * once.
   */
  readonly #onClose: (this: PipelineResponse) => void;
  readonly #cache: ResponseCache | undefined;
  readonly #onHead: OnHead | undefined;
  readonly #onSent: OnSent | undefined;

  constructor(options: StageOptions, loaded: LoadedStages) {
    const { accessLog, clientLimit, overload, counting, files, cache, compress, health, lastRequest } = loaded;
    const { limits, sessions, tell } = options;
    const { sticky } = sessions;
    const refused = counting?.refused;
    const journal = options.journal && journalRequests(options.journal, tell, accessLog !== undefined, refused);
    this.accessLog = accessLog;
    this.rateLimit = clientLimit && new RateLimitStage(clientLimit, refused);
    this.overload = overload;
    this.counting = counting;
    this.lastRequest = lastRequest;
    this.health = health;
    this.#cache = cache;
    this.#onHead = together(journal?.onHead, counting?.onHead);
    this.#onSent = journal?.onSent;
    this.#inOrder = [
      ...(accessLog ? [accessLog.stage] : []),
      ...(options.busy ? [options.busy.stage] : []),
      answerFailures(tell, files?.errorPage),
      ...(health ? [health.stage] : []),
      ...(this.rateLimit ? [this.rateLimit.stage] : []),
      ...(limits.maxBodySize > 0 ? [limitBody(limits.maxBodySize, refused)] : []),
      ...(files ? [files.stage] : []),
      ...(cache ? [cache.stage] : []),
      ...(compress ? [compress] : []),
      ...(overload ? [overload.stage] : []),
      ...(limits.requestDeadline > 0 ? [limitDuration(limits.requestDeadline, tell, refused)] : []),
      ...(journal ? [journal.stage] : []),
      ...(sticky ? watchSessions(sticky, options.onSession, options.room !== undefined) : []),
    ];
    this.#onClose = closeListener([
      () => this.answered++,
      ...(counting ? [counting.onClose] : []),
      ...(lastRequest ? [lastRequest.onClose] : []),
      ...(cache ? [cache.onClose] : []),
      ...(journal ? [journal.onClose] : []),
      ...(accessLog ? [accessLog.onClose] : []),
      ...(options.countsAnswers ? [countAnswers(tell, options.activity)] : []),
      ...(options.busy ? [options.busy.onClose] : []),
      // The last one, as the next request may start at once.
      ...(overload ? [overload.onClose] : []),
    ]);
  }

  /** @returns a handler that passes requests through the stages to `app` */
  before(app: Handler): Handler {
    return this.#inOrder.reduceRight((next, stage) => stage(next), app);
  }

  /** Call for each response, when its connection is known and before its request passes the stages. */
  begin(res: PipelineResponse): void {
    res.on('close', this.#onClose);
    res.onHead = this.#onHead;
    if (this.#onSent) reportSent(res, this.#onSent);
    this.lastRequest?.begun(res);
    this.counting?.begun(res);
  }

  /** No request comes any more. */
  end(): void {
    this.accessLog?.end();
    this.#cache?.end();
    this.overload?.flush();
    this.rateLimit?.flush();
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
