// What operators can see of the server: the pages of the admin server, which the control socket has as well, what the dashboard
// shows, and the numbers behind them, with which the successor of an upgrade goes on.
import { readSync, writeSync } from 'node:fs';
import { History } from '../admin/history.js';
import { LiveFeed } from '../admin/live-feed.js';
import { OpenConnections } from '../admin/open-connections.js';
import { jsonPage, type Pages, textPage } from '../admin/pages.js';
import { Timeline } from '../admin/timeline.js';
import type { Status, WorkerStatus } from '../control/protocol.js';
import { rangeOf } from '../memory/parts.js';
import { type CountersLayout, layout } from '../metrics/layout.js';
import { SupervisorCounters } from '../metrics/supervisor-counters.js';
import { MetricsText } from '../metrics/text.js';
import { type CountersFile, type Counts, Totals } from '../metrics/totals.js';
import type { Reports } from '../reports/reports.js';
import { models } from '../strategies/models.js';

/** Between two points of the curves (milliseconds). */
const sampleMs = 1000;

/** As a successor gets it. Other versions of mpserve read it, so fields keep their names. */
export interface InheritedCounts {
  /** The memory of the old server, in which its workers count until they end, and where the counters are in it. */
  readonly fd: number;
  readonly start: number;
  readonly layout: CountersLayout;
  /** What servers before it have counted. */
  readonly before: Counts;
}

export interface MonitoringOptions {
  readonly reports: Reports;
  /** Of the memory in which this server's workers count. */
  readonly memory: number;
  readonly inherited: InheritedCounts | undefined;
  /** Of mpserve. */
  readonly version: string;
  readonly status: () => Status;
  readonly workers: () => readonly WorkerStatus[];
}

export class Monitoring {
  readonly #options: MonitoringOptions;
  readonly #totals: Totals;
  readonly #own: CountersFile;
  readonly #predecessor: CountersFile | undefined;
  readonly #text: MetricsText;
  readonly #history = new History();
  readonly #timeline: Timeline;
  readonly #connections = new OpenConnections();
  readonly #timer: NodeJS.Timeout;
  readonly feed: LiveFeed;

  constructor(options: MonitoringOptions) {
    const { reports, memory, inherited } = options;
    this.#options = options;
    this.#totals = new Totals(inherited?.before);
    const { start } = rangeOf('counters');
    new SupervisorCounters((bytes, position) => {
      writeSync(memory, bytes, 0, bytes.length, start + position);
    }).follow(reports);
    this.#own = counters(memory, start, layout);
    this.#totals.add(this.#own);
    this.#predecessor = inherited && counters(inherited.fd, inherited.start, inherited.layout);
    if (this.#predecessor) this.#totals.add(this.#predecessor);
    this.#text = new MetricsText(() => ({
      status: options.status(),
      workers: options.workers(),
      counts: this.#totals.read(),
      version: options.version,
    }));
    this.#timeline = new Timeline(
      reports,
      () => isPool(options.status().model),
      (event) => this.#history.add(event),
    );
    reports.subscribe({ 'thread-lost': ({ connections }) => this.#connections.lose(connections) });
    this.feed = new LiveFeed({
      history: this.#history,
      models: Object.values(models).map(({ name, summary }) => ({ name, summary, scales: isPool(name) })),
      status: options.status,
      workers: options.workers,
    });
    this.#timer = setInterval(() => this.#tick(), sampleMs).unref();
    this.#sample();
  }

  /** @param line of the log, as JSON */
  logged(line: string): void {
    this.#history.log.add(line);
  }

  /** Before the memory is closed. */
  close(): void {
    clearInterval(this.#timer);
    this.feed.close();
  }

  #tick(): void {
    this.#timeline.tick();
    this.#sample();
    void this.feed.tick((workers) => this.#connections.correct(workers));
  }

  #sample(): void {
    const counts = this.#totals.read();
    this.#history.sample(counts, this.#connections.read(counts));
  }

  readonly pages: Pages = {
    '/livez': () => textPage(200, 'ok'),
    '/readyz': () => {
      const { state } = this.#options.status();
      return state === 'serving' || state === 'degraded' ? textPage(200, 'ok') : textPage(503, state);
    },
    '/status': () => jsonPage(this.#options.status()),
    '/workers': () => jsonPage(this.#options.workers()),
    '/metrics': async (accept) => {
      const { type, text } = await this.#text.write(accept);
      return { status: 200, type, content: text };
    },
  };

  /** In a successor: the old server and its workers have ended, and its memory may be closed. */
  predecessorEnded(): void {
    if (this.#predecessor) this.#totals.end(this.#predecessor);
  }

  get inheritable(): InheritedCounts {
    return {
      fd: this.#options.memory,
      start: rangeOf('counters').start,
      layout,
      before: this.#totals.without(this.#own),
    };
  }
}

/** Of worker processes; in other models each connection has one, or there is one for all. */
function isPool(model: string): boolean {
  return models[model]?.workers !== undefined;
}

function counters(fd: number, start: number, theirs: CountersLayout): CountersFile {
  return {
    layout: theirs,
    read: (bytes) => {
      readSync(fd, bytes, 0, bytes.length, start);
    },
  };
}
