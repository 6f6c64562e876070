// The dashboard with what a test wants it to show: the admin server, with a history and workers that the test makes.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { History, type HistoryItems } from '../../src/admin/history.ts';
import { LiveFeed } from '../../src/admin/live-feed.ts';
import { AdminServer } from '../../src/admin/server.ts';
import { TokenCheck } from '../../src/admin/token.ts';
import type { Act } from '../../src/control/perform.ts';
import type { Status, WorkerStatus } from '../../src/control/protocol.ts';
import { layout } from '../../src/metrics/layout.ts';
import type { Counts } from '../../src/metrics/totals.ts';
import { duplicate } from '../../src/os/descriptor.ts';
import type { LoopState, LoopView } from '../../src/scoreboard/loop-view.ts';
import { openListeners } from '../../src/supervisor/listener.ts';
import { root } from './server.ts';

export const models = [
  { name: 'prefork', summary: 'a pool of processes', hasWorkers: true, hasThreads: false },
  { name: 'hybrid', summary: 'processes times threads', hasWorkers: true, hasThreads: true },
  { name: 'ppc', summary: 'a process per connection', hasWorkers: false, hasThreads: false },
];

export interface Shown {
  status: Status;
  workers: readonly WorkerStatus[];
}

export interface Dashboard extends AsyncDisposable {
  readonly url: string;
  readonly history: History;
  readonly shown: Shown;
  /** What it was asked to do. */
  readonly asked: { action: string; request: unknown }[];
  tick(): Promise<void>;
  close(): Promise<void>;
}

export interface DashboardOptions {
  /** Default: everyone may read. */
  readonly token?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** In its history. */
  readonly before?: Partial<HistoryItems>;
  /** It sends nothing by itself. */
  readonly isSilent?: boolean;
}

export async function openDashboard({
  token,
  port = 0,
  before,
  isSilent = false,
}: DashboardOptions = {}): Promise<Dashboard> {
  const [listener] = await openListeners([{ kind: 'tcp', host: '127.0.0.1', port }], 16, 'test');
  if (!listener) throw new Error('not opened');
  const history = new History(before);
  const shown: Shown = { status: statusOf({}), workers: [] };
  const feed = new LiveFeed({ history, models, status: () => shown.status, workers: () => shown.workers });
  const asked: { action: string; request: unknown }[] = [];
  const act: Act = async (action, request, onProgress) => {
    asked.push({ action, request });
    onProgress('1 of 2 workers replaced');
    return 'generation 2 is serving';
  };
  const server = new AdminServer(duplicate(listener.fd), {
    pages: {},
    site: builtSite(),
    feed,
    act,
    token: token === undefined ? undefined : new TokenCheck(token, () => {}),
    isUnix: false,
  });
  // As a server does, or the page has lost it after five seconds.
  const timer = isSilent ? undefined : setInterval(() => void feed.tick(), 1000);
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    clearInterval(timer);
    listener.close();
    await server.close();
  };
  return {
    url: listener.url,
    history,
    shown,
    asked,
    tick: () => feed.tick(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function builtSite() {
  const read = (name: string) => readFileSync(path.join(root, 'dist/admin/page', name), 'utf8');
  const page = (name: string, type: string) => ({ status: 200, type, content: read(name) });
  return new Map([
    ['/', page('index.html', 'text/html; charset=utf-8')],
    ['/dashboard.js', page('dashboard.js', 'text/javascript')],
    ['/dashboard.css', page('dashboard.css', 'text/css')],
  ]);
}

export function statusOf(given: Partial<Status>): Status {
  return {
    state: 'serving',
    pid: 4100,
    uptimeMs: 3_723_000,
    app: 'server.js',
    model: 'prefork',
    urls: ['http://127.0.0.1:8080'],
    generation: 3,
    workers: { wanted: 2, ready: 2 },
    threads: 1,
    requests: 120_400,
    ...given,
  };
}

export function workerOf(worker: number, loops: readonly LoopView[], given: Partial<WorkerStatus> = {}): WorkerStatus {
  return { worker, pid: 4100 + worker, generation: 3, stage: 'ready', requests: 1000, loops, ...given };
}

export function loopOf(state: LoopState, given: Partial<LoopView> = {}): LoopView {
  return {
    tid: 0,
    state,
    connections: 4,
    requests: 500,
    inFlight: 0,
    oldest: [],
    received: 0,
    sent: 0,
    utilization: 0.4,
    heapBytes: 0,
    heapTotalBytes: 0,
    ...given,
  };
}

/** Counters that are all 0 but for those given. */
export function countsOf(given: { readonly [K in keyof Counts]?: readonly number[] }): Counts {
  const all = Object.entries(layout.groups).map(([name, { count }]) => {
    const numbers = given[name as keyof Counts] ?? [];
    return [name, Array.from({ length: count }, (_, i) => numbers[i] ?? 0)];
  });
  return Object.fromEntries(all);
}
