// The screen as lines: a pure function of what was found, the size and what the user has chosen.
import { duration } from '../control/text.js';
import { clean, padded } from './cells.js';
import { type Column, columns, visibleColumns } from './columns.js';
import { time } from './figures.js';
import { headerLines } from './header.js';
import { keyHelp, type View } from './keys.js';
import { cutLine, type Line, span } from './line.js';
import { type OldRequest, oldestOf, type Row, rowsOf, sorted, type WorkerRows } from './rows.js';
import type { Snapshot } from './snapshot.js';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Seen {
  readonly current: Snapshot;
  /** Of the same server. */
  readonly previous: Snapshot | undefined;
  /** Why the server does not answer; undefined if it does. */
  readonly problem: string | undefined;
  /** On the clock of the snapshots. */
  readonly now: number;
}

export interface Page {
  /** As many as the size has, none wider than it. */
  readonly lines: readonly Line[];
  /** Rows of the table that it shows. */
  readonly pageRows: number;
  /** The greatest useful offset of the view. */
  readonly maxOffset: number;
}

/** With fewer rows, only what changes is shown. */
const shortRows = 14;

export function pageOf(seen: Seen, size: Size, view: View): Page {
  const isShort = size.rows < shortRows;
  const { current, previous } = seen;
  const rows = rowsOf(current, previous);
  const top = [...problemLines(seen), ...headerLines(current, previous, rows, view.isPaused, isShort)];
  const body = view.isHelp ? helpBody() : tableBody(rows, oldestOf(current.workers), size, view);
  const bottom = footerHeight(isShort);
  const space = Math.max(0, size.rows - top.length - body.head.length - bottom);
  const below = requestLines(body.requests, space);
  const pageRows = Math.max(0, space - below.length);
  const maxOffset = Math.max(0, body.rows.length - pageRows);
  const offset = Math.min(view.offset, maxOffset);
  const shown = body.rows.slice(offset, offset + pageRows);
  const filler: Line[] = Array.from({ length: pageRows - shown.length }, () => []);
  const place = shown.length < body.rows.length ? `${offset + 1}–${offset + shown.length} of ${body.rows.length}` : '';
  const footer = footerLines(view, size, place).slice(0, bottom);
  const lines = [...top, ...body.head, ...shown, ...filler, ...below, ...footer].slice(0, size.rows);
  return { lines: lines.map((line) => cutLine(line, size.columns)), pageRows, maxOffset };
}

function problemLines({ current, problem, now }: Seen): readonly Line[] {
  if (problem === undefined) return [];
  return [[span(` no answer: what is shown is ${duration(now - current.at)} old; ${clean(problem)} `, 'bad')]];
}

interface Body {
  readonly head: readonly Line[];
  readonly rows: readonly Line[];
  readonly requests: readonly OldRequest[];
}

function tableBody(
  workers: readonly WorkerRows[],
  requests: readonly OldRequest[],
  { columns: width }: Size,
  view: View,
): Body {
  const visible = visibleColumns(width);
  const widths = visible.map((column) => column.width + (column.takesRest ? restOf(visible, width) : 0));
  const cells = (cell: (column: Column, width: number) => Line[number]): Line =>
    visible.flatMap((column, i) => [...(i > 0 ? [span(' ')] : []), cell(column, widths[i] as number)]);
  const head = cells((column, cellWidth) =>
    span(padded(column.title, cellWidth, column.align), column.key === view.sort ? 'chosen' : 'title'),
  );
  const column = sortColumn(view);
  const order = { value: column.value, isDescending: column.isDescending !== view.isReversed };
  const rowLine = (row: Row): Line =>
    cells((one, cellWidth) => span(padded(clean(one.text(row)), cellWidth, one.align), one.tone?.(row) ?? 'plain'));
  return {
    head: [head.map((one) => (one.text === ' ' ? span(' ', 'title') : one))],
    rows: sorted(workers, order).map(rowLine),
    requests,
  };
}

function restOf(visible: readonly Column[], width: number): number {
  return width - visible.reduce((total, column) => total + column.width + 1, -1);
}

function helpBody(): Body {
  const row = (key: string, effect: string): Line => [span(padded(key, 15), 'strong'), span(effect)];
  return {
    head: [[span('keys', 'strong')]],
    rows: [
      ...keyHelp.map(([key, effect]) => row(key, effect)),
      [],
      ...columns.map(({ key, title, meaning }) => row(key, `sort by ${title}: ${meaning}`)),
      [],
      [
        span(
          'A narrow terminal shows the most important columns. The row of a thread leaves out what its process has.',
        ),
      ],
    ],
    requests: [],
  };
}

/** The oldest requests in flight, with a title: at most a quarter of the space, and none if that is too small. */
function requestLines(requests: readonly OldRequest[], space: number): readonly Line[] {
  if (requests.length === 0 || space < 6) return [];
  const shown = requests.slice(0, Math.max(1, Math.floor(space / 4) - 1));
  return [
    [span('oldest requests in flight', 'strong')],
    ...shown.map(({ ageMs, worker, tid, method, url, client }): Line => {
      const where = tid === 0 ? `worker ${worker}` : `worker ${worker}, tid ${tid}`;
      return [
        span(padded(time(ageMs), 8, 'right'), ageMs >= 1000 ? 'warn' : 'plain'),
        span(`  ${padded(where, 20)} ${clean(`${method} ${url}`)}`),
        span(client === undefined ? '' : `  from ${clean(client)}`, 'quiet'),
      ];
    }),
  ];
}

function footerHeight(isShort: boolean): number {
  return isShort ? 1 : 2;
}

function footerLines(view: View, { columns: width }: Size, place: string): readonly Line[] {
  const { title } = sortColumn(view);
  const order = sortColumn(view).isDescending !== view.isReversed ? 'descending' : 'ascending';
  const keys: Line = [
    ...(place ? [span(`${place}  `, 'strong')] : []),
    span(view.isHelp ? '? back  q quit' : 'q quit  ? help  p pause  R reverse  ↑↓ scroll  '),
    ...(view.isHelp ? [] : [span(`by ${title}, ${order}`, 'quiet')]),
  ];
  const sortKeys = visibleColumns(width).flatMap((column) => [
    span(` ${column.key}`, 'strong'),
    span(` ${column.title}`),
  ]);
  return [keys, view.isHelp ? [] : [span('sort'), ...sortKeys]];
}

function sortColumn({ sort }: View): Column {
  return columns.find(({ key }) => key === sort) as Column;
}
