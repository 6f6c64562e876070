// The timeline of the dashboard: what is reported, in sentences for people. Many reports of one kind within a second, as of
// the workers that a reload starts, are one event.
import { escapeControls } from '../log/escape.js';
import { inRoute, type Report, type ReportOf, withUnit } from '../reports/report.js';
import type { Reports } from '../reports/reports.js';
import type { TimelineEvent } from './live.js';

const maxTextCharacters = 300;

type Kind = TimelineEvent['kind'];
type Entry<K extends Report['kind']> = readonly [kind: Kind, text: (report: ReportOf<K>) => string, many?: string];

const where = ({ pid, tid }: { readonly pid: number; readonly tid?: number | undefined }): string =>
  tid ? `thread ${tid} of worker pid ${pid}` : `worker pid ${pid}`;

/** The text of many has their number before it. */
const entries: { readonly [K in Report['kind']]?: Entry<K> } = {
  ready: ['start', ({ urls }) => `serving on ${urls.join(', ')}`],
  'worker-started': [
    'start',
    (r) => `worker ${r.worker}${inRoute(r)} (pid ${r.pid}) is ready, generation ${r.generation}`,
    'workers are ready',
  ],
  'worker-died': ['exit', (r) => `worker ${r.worker}${inRoute(r)} (pid ${r.pid}) died: ${r.reason}`, 'workers died'],
  'thread-lost': ['exit', (r) => `${where(r)} died: ${r.reason}`, 'threads died'],
  'server-closed': ['exit', (r) => `the app closed its server in ${where(r)}`, 'times the app closed its server'],
  'app-crashed': ['crash', (r) => `uncaught exception in ${where(r)}: ${r.err.message}`, 'uncaught exceptions'],
  hung: [
    'hang',
    (r) => `${where(r)} blocked its event loop for ${Math.round(r.stillMs)} ms in ${r.stack[0] ?? 'native code'}`,
    'event loops were blocked',
  ],
  quarantined: ['quarantine', (r) => `refusing ${r.method} ${r.url} after ${r.deaths} deaths`, 'requests are refused'],
  'worker-unfit': [
    'failure',
    (r) => `worker ${r.worker}${inRoute(r)} could not start: ${r.reason}`,
    'workers could not start',
  ],
  'thread-unfit': [
    'failure',
    (r) => `a thread of worker pid ${r.pid} could not start: ${r.reason}`,
    'threads could not start',
  ],
  down: ['failure', () => 'no worker can serve'],
  up: ['start', ({ ms }) => `a worker can serve again, after ${ms} ms`],
  reloading: ['reload', ({ reason }) => `reload begins (${reason})`],
  reloaded: ['reload', (r) => `reloaded in ${r.ms} ms: generation ${r.generation}, ${r.workers} workers`],
  switched: [
    'switch',
    (r) => `switched from ${withUnit(r.from, r.fromUnit)} to ${withUnit(r.model, r.unit)} in ${r.ms} ms (${r.reason})`,
  ],
  upgraded: ['upgrade', (r) => `upgraded to process ${r.pid} (Node ${r.version}) in ${r.ms} ms`],
  scaled: ['scale', (r) => `scaled from ${r.from} to ${r.to} ${r.unit} (${r.reason})`],
  'threads-scaled': ['scale', (r) => `scaled from ${r.from} to ${r.to} threads in worker pid ${r.pid} (${r.reason})`],
  drained: ['other', ({ reason }) => `drained (${reason})`],
  'operation-failed': ['failure', (r) => `${r.action} failed: ${r.reason}`],
  stopping: ['exit', (r) => `stopping (${r.reason})`],
};

export class Timeline {
  readonly #add: (event: TimelineEvent) => void;
  /** Of this second, by the kind of the report. */
  readonly #many = new Map<Report['kind'], { readonly event: TimelineEvent; readonly many: string; count: number }>();

  /** @param isPool false if a worker starts for each connection, which is no event */
  constructor(reports: Reports, isPool: () => boolean, add: (event: TimelineEvent) => void) {
    this.#add = add;
    const follow = (kind: Report['kind']) => (report: Report) => {
      if (kind !== 'worker-started' || isPool()) this.#take(report);
    };
    reports.subscribe(
      Object.fromEntries((Object.keys(entries) as Report['kind'][]).map((kind) => [kind, follow(kind)])),
    );
  }

  /** Adds the events of the last second. Called once a second. */
  tick(): void {
    for (const { event, many, count } of this.#many.values())
      this.#add(count === 1 ? event : { ...event, text: cut(`${count} ${many}; the first: ${event.text}`) });
    this.#many.clear();
  }

  #take(report: Report): void {
    const [kind, text, many] = entries[report.kind] as Entry<typeof report.kind>;
    const pending = this.#many.get(report.kind);
    if (pending) {
      pending.count++;
      return;
    }
    const event = { at: Date.now(), kind, text: cut(escapeControls(text(report as never))) };
    if (many) this.#many.set(report.kind, { event, many, count: 1 });
    else this.#add(event);
  }
}

function cut(text: string): string {
  return text.length > maxTextCharacters ? `${text.slice(0, maxTextCharacters - 1)}…` : text;
}
