// What the server tells of itself as text, for people: `mpserve ctl` prints it, and `?format=text` asks the server for it.
// It may have text of clients and of the app, so it is escaped for a terminal.
import { aligned } from '../log/columns.js';
import { escapeControls } from '../log/escape.js';
import { models } from '../strategies/models.js';
import { summaryOf, threadsOf } from './loop-summary.js';
import type {
  CacheStatus,
  Query,
  Restarts,
  RouteStatus,
  Status,
  StoreStatus,
  Suspect,
  WorkerStacks,
  WorkerStatus,
} from './protocol.js';
import { stacksText } from './stacks-text.js';

/** @param result of the query; `config` has no text here */
export function textOf(query: Query, result: unknown): string {
  if (query === 'status') return statusText(result as Status);
  if (query === 'stacks') return stacksText(result as readonly WorkerStacks[]);
  if (query === 'cache') return cacheText(result as CacheStatus | null);
  if (query === 'quarantine') return quarantineText(result as readonly Suspect[]);
  return workersText(result as readonly WorkerStatus[]);
}

export function statusText(status: Status): string {
  const { state, doing, pid, uptimeMs, app, model, urls, generation, workers, threads, routes = [] } = status;
  const { unit, balance, sessions, cache, range, scaled, lastError, requests, starts, exits, last } = status;
  const rows = [
    ['state', doing ? `${state}, ${doing} in progress` : state],
    ...(lastError ? [['last error', `${lastError.at}: ${lastError.message}`]] : []),
    ['app', `${app} on ${urls.join(', ')}`],
    ['model', `${model}, ${models[model]?.once ? 'a worker for each connection' : size(workers, threads)}`],
    ...routes.map((route) => [`route ${route.match}`, routeText(route)]),
    ...(unit ? [['unit', `${unit}: threads get single requests`]] : []),
    ...(balance ? [['balance', balance]] : []),
    ...(sessions ? [['sessions', `${grouped(sessions.placedAgain)} placed again`]] : []),
    ...(cache ? [['cache', cacheSummary(cache)]] : []),
    ...(range ? [['auto-scaling', `${limits(range.workers, 'worker')}, ${limits(range.threads, 'thread')}`]] : []),
    ...(scaled
      ? [['last scaling', `${scaled.at}: from ${scaled.from} to ${scaled.to} ${scaled.unit}, ${scaled.reason}`]]
      : []),
    ['generation', String(generation)],
    ['requests', grouped(requests)],
    ...(starts ? [['starts', `${grouped(starts.processes)} process(es), ${grouped(starts.threads)} thread(s)`]] : []),
    ...(exits && exits.length > 0 ? [['exits', exitsText(exits)]] : []),
    ['uptime', `${duration(uptimeMs)}, pid ${pid}`],
    ...(last
      ? [
          [
            `last ${last.action}`,
            `${last.at}: ${last.outcome.ok ? last.outcome.message : `failed: ${last.outcome.error}`}`,
          ],
        ]
      : []),
  ];
  return table(rows);
}

function routeText({ model, unit, state, workers, threads, requests }: RouteStatus): string {
  const pool = models[model]?.once ? 'a worker for each connection' : size(workers, threads);
  const words = [state, unit === 'request' ? `${model}, requests on threads` : model, pool];
  return `${words.join(', ')}, ${grouped(requests)} requests`;
}

/** During a reload more workers may be ready than there are to be. */
function size({ wanted, ready }: Status['workers'], threads: number): string {
  return `${wanted} worker(s), ${ready === wanted ? 'all' : ready} ready, ${threads} thread(s) each`;
}

/** `process: 12 reload, 1 crash; thread: 24 host`. */
function exitsText(exits: Restarts['exits']): string {
  const ofUnit = (unit: 'process' | 'thread'): string =>
    exits
      .filter((one) => one.unit === unit)
      .sort((a, b) => b.count - a.count)
      .map(({ cause, count }) => `${grouped(count)} ${cause}`)
      .join(', ');
  return (['process', 'thread'] as const)
    .flatMap((unit) => (exits.some((one) => one.unit === unit) ? [`${unit}: ${ofUnit(unit)}`] : []))
    .join('; ');
}

function limits([min, max]: readonly [number, number], unit: string): string {
  return min === max ? `${min} ${unit}(s)` : `${min} to ${max} ${unit}s`;
}

/** A column of the workers: its cells in the line of a worker, and in that of one of its threads. */
interface Column {
  readonly title: string;
  worker(worker: WorkerStatus): string;
  thread?(thread: WorkerStatus['loops'][number]): string;
}

const none = '–';

const workerColumns: readonly Column[] = [
  { title: 'worker', worker: ({ worker }) => String(worker), thread: () => '└' },
  { title: 'pid', worker: ({ pid }) => String(pid), thread: ({ tid }) => `tid ${tid}` },
  { title: 'generation', worker: ({ generation }) => String(generation) },
  { title: 'stage', worker: ({ stage }) => stage },
  { title: 'uptime', worker: ({ readyMs }) => (readyMs === undefined ? none : duration(readyMs)) },
  {
    title: 'requests',
    worker: ({ requests }) => grouped(requests),
    thread: ({ requests }) => grouped(requests),
  },
  { title: 'load', worker: ({ load }) => (load === undefined ? none : percent(load)) },
  { title: 'memory', worker: ({ memoryBytes }) => (memoryBytes === undefined ? none : megabytes(memoryBytes)) },
  { title: 'CPU time', worker: ({ cpuSeconds }) => (cpuSeconds === undefined ? none : `${cpuSeconds.toFixed(1)} s`) },
];

const routeColumn: Column = { title: 'route', worker: ({ route }) => route ?? none };

const placedColumns: readonly Column[] = [
  { title: 'placed', worker: ({ placed }) => grouped(placed ?? 0) },
  { title: 'open', worker: ({ connections }) => grouped(connections ?? 0) },
];

/** Of event loops: the same for a thread and for all of a worker. */
const loopColumns = (
  [
    ['state', ({ state }) => state],
    ['connections', ({ connections }) => grouped(connections)],
    ['in flight', ({ inFlight }) => grouped(inFlight)],
    ['utilization', ({ utilization }) => percent(utilization)],
    ['lag p50/p99', ({ lagMs }) => (lagMs ? `${lagMs.p50.toFixed(1)}/${lagMs.p99.toFixed(1)} ms` : none)],
    ['heap', ({ heapBytes }) => megabytes(heapBytes)],
  ] satisfies [title: string, cell: (loop: NonNullable<ReturnType<typeof summaryOf>>) => string][]
).map(
  ([title, cell]): Column => ({
    title,
    worker: ({ loops }) => {
      const summary = summaryOf(loops);
      return summary ? cell(summary) : none;
    },
    thread: cell,
  }),
);

/** A line for each worker and, under it, for each of its threads. */
export function workersText(workers: readonly WorkerStatus[]): string {
  const [number, ...others] = workerColumns;
  const columns = [
    ...(number ? [number] : []),
    ...(workers.some(({ route }) => route !== undefined) ? [routeColumn] : []),
    ...others,
    ...(workers.some(({ placed }) => placed !== undefined) ? placedColumns : []),
    ...(workers.some(({ loops }) => loops.length > 0) ? loopColumns : []),
  ];
  const rows = workers.flatMap((worker) => [
    columns.map((column) => column.worker(worker)),
    ...threadsOf(worker).map((thread) => columns.map((column) => column.thread?.(thread) ?? '')),
  ]);
  return table([columns.map(({ title }) => title), ...rows]);
}

export function quarantineText(suspects: readonly Suspect[]): string {
  if (suspects.length === 0) return 'no request is suspected of killing workers';
  const rows = suspects.map(({ isRefused, deaths, at, method, url, fingerprint }) => [
    isRefused ? 'refused' : 'suspect',
    String(deaths),
    at,
    `${method} ${url}`,
    fingerprint.slice(fingerprint.lastIndexOf(' ') + 1),
  ]);
  return table([['', 'deaths', 'last death', 'request', 'body'], ...rows]);
}

/** Of the requests that it could have answered, those that did not wait for the app. */
function hitRatio({ hits, stale, revalidated, coalesced, misses }: CacheStatus): number {
  const all = hits + stale + revalidated + coalesced + misses;
  return all === 0 ? 0 : (hits + stale + coalesced) / all;
}

function cacheSummary(cache: CacheStatus): string {
  const { hits, misses, bytes, maxBytes, store } = cache;
  const where = store ? `${store.name}, ${storeState(store)}` : `${megabytes(bytes)} of ${megabytes(maxBytes)}`;
  return `${percent(hitRatio(cache))} hits (${grouped(hits)}, ${grouped(misses)} misses), ${where}`;
}

function storeState({ isDown, takesNothing, errors }: StoreStatus): string {
  const state = isDown ? 'down' : takesNothing ? 'up, but takes nothing' : 'up';
  return `${state}, ${grouped(errors)} errors`;
}

export function cacheText(cache: CacheStatus | null): string {
  if (!cache) return 'the server has no cache (--cache)';
  const { bytes, maxBytes, store, ...counts } = cache;
  return table([
    ['hit ratio', percent(hitRatio(cache))],
    ...Object.entries(counts).map(([name, count]) => [name, grouped(count)]),
    ...(store
      ? [
          ['store', store.name],
          ['state', storeState(store)],
        ]
      : [['memory', `${megabytes(bytes)} of ${megabytes(maxBytes)}`]]),
  ]);
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** `1,234,567`. Not `toLocaleString`, which takes 12 ms to load ICU's number data. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `3 d 4 h`, `5 min 2 s`. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const units = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  const shown = units.slice(first, first < 0 ? undefined : first + 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

/** Each cell escaped, newlines as well: with one, a message could pass for other rows. */
function table(rows: readonly (readonly string[])[]): string {
  return aligned(rows.map((row) => row.map((cell) => escapeControls(cell))));
}
