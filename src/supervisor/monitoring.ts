// What operators can see of the server: the pages of the admin server, which the control socket has as well, what the dashboard
// shows, and the numbers behind them, with which the successor of an upgrade goes on.
import { History, type HistoryItems } from '../admin/history.js';
import { LiveFeed } from '../admin/live-feed.js';
import { type Pages, textPage } from '../admin/pages.js';
import { Timeline } from '../admin/timeline.js';
import type { Config } from '../config/config.js';
import { formatted } from '../control/formats.js';
import type { Restarts, Status, WorkerStatus } from '../control/protocol.js';
import type { Suspect } from '../inflight/suspect.js';
import type { Observed } from '../metrics/definition.js';
import { restartsOf } from '../metrics/restarts.js';
import { SupervisorCounters } from '../metrics/supervisor-counters.js';
import { MetricsText } from '../metrics/text.js';
import { queueOf } from '../os/tcp-info.js';
import type { Reports } from '../reports/reports.js';
import type { Look } from '../scoreboard/loop-view.js';
import { models } from '../strategies/models.js';
import type { CountedMemory, InheritedCounts } from './counted-memory.js';
import type { Listener } from './listener.js';

/** Between two points of the curves (milliseconds). */
const sampleMs = 1000;

/** The counts of a route, as a successor gets them. */
export interface InheritedRoute extends InheritedCounts {
  readonly match: string;
}

export interface MonitoringOptions {
  readonly reports: Reports;
  /** In which this server's workers count. */
  readonly memory: CountedMemory;
  /** It is a successor. */
  readonly isSuccessor: boolean;
  /** What the dashboard of the old server showed. */
  readonly inheritedHistory: Partial<HistoryItems> | undefined;
  /** Of mpserve. */
  readonly version: string;
  readonly status: () => Status;
  readonly workers: (how: Look) => Promise<readonly WorkerStatus[]>;
  readonly config: () => Config;
  readonly quarantine: () => readonly Suspect[];
  /** Those that are open. */
  readonly listeners: readonly Pick<Listener, 'url' | 'queues'>[];
}

export class Monitoring {
  readonly #options: MonitoringOptions;
  /** Of routes, by what they match. */
  readonly #routes = new Map<string, CountedMemory>();
  readonly #text: MetricsText;
  readonly counters: SupervisorCounters;
  #cpu: NodeJS.CpuUsage = { user: 0, system: 0 };
  #busyMs = 0;
  readonly #history: History;
  readonly #timeline: Timeline;
  readonly #timer: NodeJS.Timeout;
  readonly feed: LiveFeed;

  constructor(options: MonitoringOptions) {
    const { reports, memory, isSuccessor, version } = options;
    this.#options = options;
    this.#history = new History(options.inheritedHistory);
    this.counters = new SupervisorCounters((bytes, position) => memory.write(bytes, position));
    this.counters.follow(reports);
    this.#text = new MetricsText(() => this.#observe());
    this.#timeline = new Timeline(
      reports,
      () => isPool(options.config().pool.model),
      (event) => this.#history.add(event),
    );
    // The old server's history ends before it could tell.
    if (isSuccessor) {
      const text = `process ${process.pid} has taken over (mpserve ${version}, Node ${process.version})`;
      reports.subscribe({ ready: () => this.#history.add({ at: Date.now(), kind: 'upgrade', text }) });
    }
    this.feed = new LiveFeed({
      history: this.#history,
      models: Object.values(models).map(({ name, summary, workers, threads }) => ({
        name,
        summary,
        hasWorkers: workers !== undefined,
        hasThreads: threads !== undefined,
      })),
      status: options.status,
      workers: () => options.workers('wholly'),
    });
    this.#timer = setInterval(() => this.#tick(), sampleMs).unref();
    this.#sample();
  }

  /** @param line of the log, as JSON */
  logged(line: string): void {
    this.#history.log.add(line);
  }

  get restarts(): Restarts {
    this.counters.flush();
    return restartsOf(this.#options.memory.counts);
  }

  /** Before the memory is closed. */
  close(): void {
    clearInterval(this.#timer);
    this.feed.close();
  }

  #tick(): void {
    this.#timeline.tick();
    this.#sample();
    void this.feed.tick();
  }

  #sample(): void {
    const { counts, gauges } = this.#options.memory;
    this.#history.sample(counts, gauges.connections);
  }

  readonly pages: Pages = {
    '/livez': () => textPage(200, 'ok'),
    '/readyz': () => {
      const { state } = this.#options.status();
      return state === 'serving' || state === 'degraded' ? textPage(200, 'ok') : textPage(503, state);
    },
    '/status': (_, queryString) => formatted('status', this.#options.status(), queryString),
    '/workers': async (_, queryString) => formatted('workers', await this.#options.workers('wholly'), queryString),
    '/metrics': async (accept) => {
      const { type, text } = await this.#text.write(accept);
      return { status: 200, type, content: text };
    },
  };

  async #observe(): Promise<Observed> {
    const { status, memory, config, quarantine, listeners, version } = this.#options;
    // They take the longest. All else is of one moment after that.
    const workers = await this.#options.workers('briefly');
    this.#countOwnTime();
    const suspects = quarantine();
    const refused = suspects.filter(({ isRefused }) => isRefused).length;
    return {
      status: status(),
      workers,
      counts: memory.counts,
      gauges: memory.gauges,
      routes: [...this.#routes].map(([match, { counts, gauges }]) => ({ match, counts, gauges })),
      queues: listeners.flatMap(({ url, queues }) => {
        const all = queues.flatMap((fd) => queueOf(fd) ?? []);
        const sum = (key: 'waiting' | 'limit') => all.reduce((before, queue) => before + queue[key], 0);
        return all.length > 0 ? [{ url, waiting: sum('waiting'), limit: sum('limit') }] : [];
      }),
      quarantine: { refused, suspected: suspects.length - refused },
      config: config(),
      memoryBytes: process.memoryUsage.rss(),
      version,
    };
  }

  /** Since the last time. */
  #countOwnTime(): void {
    const { user, system } = process.cpuUsage();
    this.counters.add('supervisorCpu', user + system - this.#cpu.user - this.#cpu.system);
    this.#cpu = { user, system };
    const { active } = performance.eventLoopUtilization();
    const us = Math.round((active - this.#busyMs) * 1000);
    this.counters.add('supervisorBusy', Math.max(0, us));
    this.#busyMs += us / 1000;
    this.counters.flush();
  }

  /** In which the workers of a route count. */
  addRoute(match: string, memory: CountedMemory): void {
    this.#routes.set(match, memory);
  }

  /** In a successor: the old server and its workers have ended, and its memory may be closed. */
  predecessorEnded(): void {
    for (const memory of [this.#options.memory, ...this.#routes.values()]) memory.predecessorEnded();
  }

  /** For the successor, with what has happened up to now. */
  get history(): HistoryItems {
    this.#timeline.tick();
    return this.#history.items;
  }

  get inheritable(): InheritedCounts {
    this.#countOwnTime();
    return this.#options.memory.inheritable;
  }

  /** By what they match. */
  get inheritableRoutes(): readonly InheritedRoute[] {
    return [...this.#routes].map(([match, memory]) => ({ match, ...memory.inheritable }));
  }
}

/** Of worker processes; in other models each connection has one, or there is one for all. */
function isPool(model: string): boolean {
  return models[model]?.workers !== undefined;
}
