// The columns of the table, and which of them a terminal has room for.
import { clean } from './cells.js';
import { bar, bytes, count, percent, time } from './figures.js';
import type { Tone } from './line.js';
import type { Row, Sort } from './rows.js';

export interface Column extends Sort {
  readonly title: string;
  /** What it has, for the help. */
  readonly meaning: string;
  /** The key that sorts by it. */
  readonly key: string;
  /** In cells; the least of a column that takes what is left. */
  readonly width: number;
  readonly align: 'left' | 'right';
  readonly takesRest?: true;
  text(row: Row): string;
  tone?(row: Row): Tone;
}

const barWidth = 4;

const stateTones: Readonly<Record<string, Tone>> = {
  blocked: 'bad',
  gone: 'bad',
  starting: 'warn',
  draining: 'warn',
  working: 'good',
  writing: 'good',
  reading: 'good',
};

/** By importance: a terminal that is too narrow for all shows the first of them. */
const byImportance: readonly Column[] = [
  {
    ...{ title: 'worker', key: 'w', width: 6, align: 'left', isDescending: false },
    meaning: 'number of the worker; under it, its threads',
    value: ({ worker, tid = 0 }) => worker * 1e6 + tid,
    text: ({ worker, tid }) => (tid === undefined ? String(worker) : '  └'),
  },
  {
    ...{ title: 'state', key: 's', width: 10, align: 'left', isDescending: false },
    meaning: 'what its event loop is doing; of several, the first of: blocked, starting, draining, working, …',
    value: ({ state }) => state,
    text: ({ state }) => state,
    tone: ({ state }) => stateTones[state] ?? 'quiet',
  },
  {
    ...{ title: 'req/s', key: 'r', width: 7, align: 'right', isDescending: true },
    meaning: 'requests per second, since the last look',
    value: ({ rate }) => rate,
    text: ({ rate }) => count(rate),
  },
  {
    ...{ title: 'util', key: 'u', width: barWidth + 5, align: 'left', isDescending: true },
    meaning: 'part of the time for which the event loop was busy; of several, the mean',
    value: ({ utilization }) => utilization,
    text: ({ utilization }) =>
      utilization === undefined ? '–' : bar(utilization, barWidth).padEnd(barWidth) + percent(utilization).padStart(5),
    tone: ({ utilization = 0 }) => (utilization > 0.9 ? 'bad' : utilization > 0.7 ? 'warn' : 'good'),
  },
  {
    ...{ title: 'infl', key: 'f', width: 5, align: 'right', isDescending: true },
    meaning: 'requests in flight',
    value: ({ inFlight }) => inFlight,
    text: ({ inFlight }) => count(inFlight),
  },
  {
    ...{ title: 'conns', key: 'c', width: 6, align: 'right', isDescending: true },
    meaning: 'open connections',
    value: ({ connections }) => connections,
    text: ({ connections }) => count(connections),
  },
  {
    ...{ title: 'pid', key: 'i', width: 7, align: 'right', isDescending: false },
    meaning: 'process of the worker; in the row of a thread, its number in the process',
    value: ({ pid, tid = 0 }) => pid * 1e6 + tid,
    text: ({ pid, tid }) => (tid === undefined ? String(pid) : `tid ${tid}`),
  },
  {
    ...{ title: 'CPU', key: 'x', width: 5, align: 'right', isDescending: true },
    meaning: 'processor time of the process; 100% is one processor',
    value: ({ cpu }) => cpu,
    text: (row) => ofProcess(row, percent(row.cpu)),
  },
  {
    ...{ title: 'lag p99', key: 'l', width: 7, align: 'right', isDescending: true },
    meaning: 'how late timers were since the last look, 99th percentile; of several event loops, the worst',
    value: ({ lagMs }) => lagMs?.p99,
    text: ({ lagMs }) => time(lagMs?.p99),
    tone: ({ lagMs }) => ((lagMs?.p99 ?? 0) > 100 ? 'warn' : 'plain'),
  },
  {
    ...{ title: 'PSS', key: 'm', width: 6, align: 'right', isDescending: true },
    meaning: 'proportional memory of the process',
    value: ({ memoryBytes }) => memoryBytes,
    text: (row) => ofProcess(row, bytes(row.memoryBytes)),
  },
  {
    ...{ title: 'stage', key: 'a', width: 8, align: 'left', isDescending: false },
    meaning: 'starting, ready or draining',
    value: ({ stage }) => stage,
    text: (row) => ofProcess(row, row.stage),
    tone: ({ stage }) => (stage === 'ready' ? 'plain' : 'warn'),
  },
  {
    ...{ title: 'gen', key: 'g', width: 4, align: 'right', isDescending: true },
    meaning: 'generation: each reload begins one',
    value: ({ generation }) => generation,
    text: (row) => ofProcess(row, String(row.generation)),
  },
  {
    ...{ title: 'requests', key: 'n', width: 10, align: 'right', isDescending: true },
    meaning: 'requests since its start',
    value: ({ requests }) => requests,
    text: ({ requests }) => count(requests),
  },
  {
    ...{ title: 'heap', key: 'h', width: 6, align: 'right', isDescending: true },
    meaning: 'JavaScript heap in use',
    value: ({ heapBytes }) => heapBytes,
    text: ({ heapBytes }) => bytes(heapBytes),
  },
  {
    ...{ title: 'lag p50', key: 'o', width: 7, align: 'right', isDescending: true },
    meaning: 'as lag p99, the median',
    value: ({ lagMs }) => lagMs?.p50,
    text: ({ lagMs }) => time(lagMs?.p50),
  },
  {
    ...{ title: 'last request', key: 't', width: 24, align: 'left', takesRest: true, isDescending: false },
    meaning: 'how long ago it ended, its status, how long it took, and what it was',
    value: ({ last }) => last?.endedMs,
    text: ({ last }) =>
      last
        ? `${time(last.endedMs)} ago: ${last.status || 'client gone'} ${time(last.durationMs)} ${clean(`${last.method} ${last.url}`)}`
        : '–',
  },
];

/** From left to right. */
const order = 'wigasrnucfolhmxt';

export const columns: readonly Column[] = [...order].map(
  (key) => byImportance.find((column) => column.key === key) as Column,
);

/** Those that `width` cells have room for, from left to right, with a cell between two. */
export function visibleColumns(width: number): readonly Column[] {
  let used = -1;
  const tooMany = byImportance.findIndex((column) => {
    used += column.width + 1;
    return used > width;
  });
  const visible = tooMany < 0 ? byImportance : byImportance.slice(0, Math.max(1, tooMany));
  return columns.filter((column) => visible.includes(column));
}

/** A thread shares that with its process. */
function ofProcess({ tid }: Row, text: string): string {
  return tid === undefined ? text : '';
}
