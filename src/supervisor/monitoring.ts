// What operators can see of the server: the pages of the admin server, which the control socket has as well, and the numbers
// behind them, with which the successor of an upgrade goes on.
import { readSync, writeSync } from 'node:fs';
import { type Pages, textPage } from '../admin/pages.js';
import { formatted } from '../control/formats.js';
import type { Status, WorkerStatus } from '../control/protocol.js';
import { rangeOf } from '../memory/parts.js';
import { type CountersLayout, layout } from '../metrics/layout.js';
import { SupervisorCounters } from '../metrics/supervisor-counters.js';
import { MetricsText } from '../metrics/text.js';
import { type CountersFile, type Counts, Totals } from '../metrics/totals.js';
import type { Reports } from '../reports/reports.js';
import type { Look } from '../scoreboard/loop-view.js';

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
  readonly workers: (how: Look) => Promise<readonly WorkerStatus[]>;
}

export class Monitoring {
  readonly #options: MonitoringOptions;
  readonly #totals: Totals;
  readonly #own: CountersFile;
  readonly #predecessor: CountersFile | undefined;
  readonly #text: MetricsText;

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
    this.#text = new MetricsText(async () => ({
      status: options.status(),
      workers: await options.workers('briefly'),
      counts: this.#totals.read(),
      version: options.version,
    }));
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

function counters(fd: number, start: number, theirs: CountersLayout): CountersFile {
  return {
    layout: theirs,
    read: (bytes) => {
      readSync(fd, bytes, 0, bytes.length, start);
    },
  };
}
