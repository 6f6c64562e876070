// The screen of `mpserve top` as lines, at every size.
import { describe, expect, test } from 'vitest';
import type { WorkerStatus } from '../../src/control/protocol.ts';
import { widthOf } from '../../src/top/cells.ts';
import { columns, visibleColumns } from '../../src/top/columns.ts';
import { firstView, keyHelp, keysIn, press, type View } from '../../src/top/keys.ts';
import { painted, textOf } from '../../src/top/line.ts';
import { type Page, pageOf, type Seen, type Size } from '../../src/top/page.ts';
import { fullLoop, fullStatus, fullWorker, simpleWorker } from '../fixtures/server-status.ts';

const small: Size = { columns: 40, rows: 10 };
const usual: Size = { columns: 80, rows: 24 };
const large: Size = { columns: 200, rows: 60 };
const sizes = [small, usual, large, { columns: 20, rows: 4 }, { columns: 1, rows: 1 }];

function seeing(workers: readonly WorkerStatus[], others: Partial<Seen> = {}): Seen {
  return {
    current: { at: 10_000, status: fullStatus, workers },
    previous: undefined,
    problem: undefined,
    now: 10_000,
    ...others,
  };
}

const text = ({ lines }: Page): readonly string[] => lines.map(textOf);
const shown = (seen: Seen, size: Size, view: Partial<View> = {}) => text(pageOf(seen, size, { ...firstView, ...view }));
/** The first word of each row of the table. */
const firstWords = (lines: readonly string[]): string[] => {
  const head = lines.findIndex((line) => line.startsWith('worker'));
  const end = lines.findIndex((line, i) => i > head && !/^(\d+| {2}└) /.test(line));
  return lines.slice(head + 1, end).map((line) => line.trim().split(/ +/)[0] ?? '');
};
const many = Array.from({ length: 100 }, (_, i) => simpleWorker(i + 1));

describe.each(sizes)('$columns × $rows', (size) => {
  test.each<[string, Seen, Partial<View>]>([
    ['workers with threads', seeing([fullWorker, { ...fullWorker, worker: 2, pid: 4002 }]), {}],
    ['100 workers', seeing(many), { offset: 50 }],
    ['no worker', seeing([]), {}],
    ['help', seeing(many), { isHelp: true }],
    ['no answer', seeing(many, { problem: 'connect ECONNREFUSED', now: 75_000 }), { isPaused: true }],
  ])('%s: as many lines as it has, none wider', (_, seen, view) => {
    const lines = shown(seen, size, view);
    expect(lines).toHaveLength(size.rows);
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(size.columns);
  });
});

test('80 × 24', () => {
  const second = { ...fullWorker, worker: 2, pid: 4002, requests: 500, cpuSeconds: 3 };
  const previous = {
    ...{ at: 9000, status: { ...fullStatus, requests: 1_234_067 } },
    workers: [{ ...fullWorker, requests: 1500, cpuSeconds: 12, loops: [{ ...fullLoop, requests: 993 }] }, second],
  };
  expect(`\n${shown(seeing([fullWorker, second], { previous }), usual).join('\n')}\n`).toMatchInlineSnapshot(`
    "
    serving, reload in progress · hybrid, unit request · generation 3 · up 1 h 2 mi…
    /srv/shop/server.js on http://127.0.0.1:8080
    req/s 7 · connections 24 · in flight 4 · workers 2/2 · requests 1,234,567
    last error 2026-01-02T03:04:05.000Z: worker 1 (pid 4001) crashed: TypeError: x …
    worker     pid state        req/s util       conns  infl lag p99    PSS   CPU
    1         4001 working          7 ▉     22%     12     2  7.3 ms  71 MB   50%
      └      tid 1 working          7 █▋    42%     12     2  7.3 ms             
      └      tid 2 idle             – ▏      2%      0     0  7.3 ms             
    2         4002 working          0 ▉     22%     12     2  7.3 ms  71 MB    0%
      └      tid 1 working          0 █▋    42%     12     2  7.3 ms             
      └      tid 2 idle             0 ▏      2%      0     0  7.3 ms             








    oldest requests in flight
        12 s  worker 1, tid 1      GET /report?year=2026  from 192.0.2.7
        12 s  worker 2, tid 1      GET /report?year=2026  from 192.0.2.7
    q quit  ? help  p pause  R reverse  ↑↓ scroll  by worker, ascending
    sort w worker i pid s state r req/s u util c conns f infl l lag p99 m PSS x CPU
    "
  `);
});

test('200 × 60 has every column, and the last takes what is left', () => {
  const lines = shown(seeing([fullWorker]), large);
  const head = lines.find((line) => line.startsWith('worker')) ?? '';
  for (const { title } of columns) expect(head).toContain(title);
  expect(widthOf(head)).toBe(200);
  expect(lines.find((line) => line.includes('tid 1'))).toMatch(/400 ms ago: 201 12 ms POST \/orders/);
});

test('40 × 10 has the state of the server and the most important columns', () => {
  expect(`\n${shown(seeing([fullWorker]), small).join('\n')}\n`).toMatchInlineSnapshot(`
    "
    serving, reload in progress · hybrid, u…
    req/s – · connections 12 · in flight 2 …
    worker state        req/s util     
    1      working          – ▉     22%
      └    working          – █▋    42%
      └    idle             – ▏      2%

    oldest requests in flight
        12 s  worker 1, tid 1      GET /rep…
    q quit  ? help  p pause  R reverse  ↑↓ …
    "
  `);
});

test('a narrower terminal has fewer columns, and always the same most important ones', () => {
  for (let width = 200; width > 1; width--) {
    const [wide, narrow] = [visibleColumns(width), visibleColumns(width - 1)];
    expect(narrow.filter((column) => !wide.includes(column))).toEqual([]);
  }
  expect(visibleColumns(1).map(({ title }) => title)).toEqual(['worker']);
});

test('each column has a key of its own, which no other key has', () => {
  const sortKeys = columns.map(({ key }) => key);
  expect(new Set(sortKeys).size).toBe(columns.length);
  expect(sortKeys.filter((key) => ['q', 'p', 'R', '?'].includes(key))).toEqual([]);
  const lines = shown(seeing([]), { columns: 200, rows: 60 }, { isHelp: true });
  for (const key of [...sortKeys, ...keyHelp.map(([name]) => name)])
    expect(lines.some((line) => line.startsWith(`${key} `))).toBe(true);
});

describe('per second', () => {
  const earlier = (at: number, requests: number, pid = 4001) => ({
    ...{ at, status: { ...fullStatus, requests: fullStatus.requests - 100 } },
    workers: [{ ...fullWorker, pid, requests, cpuSeconds: 11.5 }],
  });
  const row = (previous: Seen['previous']) =>
    shown(seeing([{ ...fullWorker, loops: [] }], { previous }), usual).find((line) => line.startsWith('1 ')) ?? '';
  test('is the difference of two looks, however long that takes', () => {
    expect(row(earlier(9000, 1990))).toMatch(/ready +10 .* 100%$/);
    expect(row(earlier(6000, 1990))).toMatch(/ready +2\.5 .* 25%$/);
    expect(shown(seeing([], { previous: earlier(9500, 0) }), usual).join('\n')).toContain('req/s 200 ');
  });
  test('of event loops is what they have counted themselves, added for their worker and the server', () => {
    const loops = (...requests: number[]) => requests.map((n, i) => ({ ...fullLoop, tid: i + 1, requests: n }));
    const snapshot = (at: number, ...workers: WorkerStatus[]) => ({ at, status: fullStatus, workers });
    const first = { ...fullWorker, requests: 0 };
    const second = { ...simpleWorker(2, 60), requests: 0 };
    const previous = snapshot(9000, { ...first, loops: loops(10, 20) }, simpleWorker(2, 53));
    const current = snapshot(10_000, { ...first, loops: loops(14, 30) }, second);
    const lines = shown({ ...seeing([]), current, previous }, large);
    expect(lines.join('\n')).toMatch(/^req\/s 21 /m);
    expect(lines.find((line) => line.startsWith('1 '))).toMatch(/working +14 +44 /);
    expect(lines.find((line) => line.includes('tid 2'))).toMatch(/working +10 +30 /);
    expect(lines.find((line) => line.startsWith('2 '))).toMatch(/keep-alive +7 +60 /);
    // A worker that has just come does not know, and the server has counted what others have answered.
    const withNew = {
      ...current,
      workers: [...current.workers, simpleWorker(3)],
      status: { ...fullStatus, requests: 1_234_667 },
    };
    expect(shown({ ...seeing([]), current: withNew, previous }, large).join('\n')).toMatch(/^req\/s 100 /m);
  });
  test('is not known at the first look, nor of another process, nor when a counter has gone back', () => {
    for (const previous of [undefined, earlier(9000, 1990, 9), earlier(9000, 3000), earlier(10_000, 1990)])
      expect(row(previous)).toMatch(/ready +– /);
  });
});

describe('sort', () => {
  const workers = [3, 1, 2].map((n) => simpleWorker(n, n * 10));
  test.each([
    ['w', false, ['1', '2', '3']],
    ['w', true, ['3', '2', '1']],
    ['n', false, ['3', '2', '1']],
    ['u', true, ['1', '2', '3']],
    ['m', false, ['3', '2', '1']],
  ])('by %s, reversed: %s', (sort, isReversed, order) => {
    expect(firstWords(shown(seeing(workers), usual, { sort, isReversed }))).toEqual(order);
  });
  test('threads stay under their worker, in the same order', () => {
    const idleFirst = { ...fullWorker, worker: 2, loops: [...fullWorker.loops].reverse() };
    const lines = shown(seeing([fullWorker, idleFirst]), usual, { sort: 'u' });
    expect(firstWords(lines)).toEqual(['1', '└', '└', '2', '└', '└']);
    expect(lines.filter((line) => line.includes('tid')).map((line) => /tid (\d)/.exec(line)?.[1])).toEqual(
      expect.arrayContaining(['1', '2', '1', '2']),
    );
    expect(lines.filter((line) => line.startsWith('  └')).map((line) => /tid (\d)/.exec(line)?.[1])).toEqual([
      '1',
      '2',
      '1',
      '2',
    ]);
  });
  test('what has no value comes last, in both directions', () => {
    const mixed = [{ ...simpleWorker(1), loops: [] }, simpleWorker(2), simpleWorker(3)];
    expect(firstWords(shown(seeing(mixed), usual, { sort: 'u' }))).toEqual(['3', '2', '1']);
    expect(firstWords(shown(seeing(mixed), usual, { sort: 'u', isReversed: true }))).toEqual(['2', '3', '1']);
  });
});

test('scrolls, not beyond the last row, and says where it is', () => {
  const page = pageOf(seeing(many), usual, { ...firstView, offset: 1e9 });
  expect(text(page).join('\n')).toContain(`${page.maxOffset + 1}–100 of 100`);
  expect(firstWords(text(page)).at(-1)).toBe('100');
  expect(page.maxOffset).toBe(100 - page.pageRows);
});

test('a server that does not answer: what is shown, how old it is, and why', () => {
  const [first, ...others] = shown(seeing(many, { problem: 'connect ECONNREFUSED \u001b[2J', now: 75_000 }), usual);
  expect(first).toBe(' no answer: what is shown is 1 min 5 s old; connect ECONNREFUSED \\u001b[2J ');
  expect(firstWords(others).length).toBeGreaterThan(10);
});

test('the oldest requests in flight come first, with the time that a blocked loop has told nothing', () => {
  const request = (url: string, ageMs: number) => ({ reqId: url, method: 'GET', url, ageMs });
  const blocked = {
    ...fullLoop,
    tid: 3,
    state: 'blocked' as const,
    staleMs: 5000,
    oldest: [request('/blocked', 9000)],
  };
  const lines = shown(seeing([{ ...fullWorker, loops: [...fullWorker.loops, blocked] }]), usual);
  const at = lines.indexOf('oldest requests in flight');
  expect(lines.slice(at + 1, at + 3)).toEqual([
    '    14 s  worker 1, tid 3      GET /blocked',
    '    12 s  worker 1, tid 1      GET /report?year=2026  from 192.0.2.7',
  ]);
});

test('nothing from a client, the app or the server writes to the terminal', () => {
  const evil = '\u001b[2J\u001b]0;x\u0007\u009b2J\r\n\t\u202e\u2028\ud800\u200d日本語e\u0301';
  const request = { reqId: evil, method: evil, url: evil, client: evil };
  const loop = { ...fullLoop, oldest: [{ ...request, ageMs: 1 }], last: { ...fullLoop.last, ...request } };
  const status = {
    ...fullStatus,
    ...{ app: evil, model: evil, doing: evil, urls: [evil], balance: evil, lastError: { at: evil, message: evil } },
  };
  const seen = seeing([{ ...fullWorker, loops: [loop, { ...loop, tid: 2 }] }], { problem: evil });
  for (const size of sizes) {
    const { lines } = pageOf({ ...seen, current: { ...seen.current, status } }, size, firstView);
    const all = lines.map(textOf).join('\n');
    expect(all).not.toMatch(/[^\P{C}\n]|[\p{Zl}\p{Zp}\p{M}]/u);
    expect(Math.max(...lines.map((line) => widthOf(textOf(line))))).toBeLessThanOrEqual(size.columns);
  }
});

test('wide characters are cut where they end', () => {
  const status = { ...fullStatus, app: '日本語'.repeat(30) };
  const seen = seeing([]);
  for (const width of [40, 41]) {
    const lines = shown({ ...seen, current: { ...seen.current, status } }, { columns: width, rows: 24 });
    const line = lines.find((one) => one.startsWith('日本')) ?? '';
    expect(line).toMatch(/…$/);
    expect(widthOf(line)).toBe(width % 2 === 0 ? width - 1 : width);
  }
});

describe('colours', () => {
  const { lines } = pageOf(
    seeing([{ ...fullWorker, loops: [{ ...fullLoop, tid: 0, state: 'blocked' }] }]),
    usual,
    firstView,
  );
  const paint = (hasColours: boolean) => lines.map((line) => painted(line, hasColours)).join('\n');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are that
  const colour = /\u001b\[(?:\d+;)*3[0-7]m/;
  test('only where the terminal has them, and the state is a word as well', () => {
    expect(paint(true)).toMatch(colour);
    expect(paint(false)).not.toMatch(colour);
    expect(paint(false)).toContain('blocked');
  });
});

describe('keys', () => {
  const viewAfter = (...keys: string[]) =>
    keys.reduce<View | undefined>((view, key) => view && press(view, key, 10, 25), firstView);
  test('as terminals send them', () => {
    expect(keysIn('q\u001b[A\u001bOB\u001b[5~\u001b[6~x')).toEqual(['q', 'up', 'down', 'page up', 'page down', 'x']);
    expect(keysIn('\u001b[1;5Cr\u001b[200~\u001b')).toEqual(['r']);
  });
  test('quit', () => {
    expect(viewAfter('q')).toBeUndefined();
    expect(viewAfter('\u0003')).toBeUndefined();
  });
  test('sort, and reverse', () => {
    expect(viewAfter('r')).toMatchObject({ sort: 'r', isReversed: false });
    expect(viewAfter('r', 'r')).toMatchObject({ sort: 'r', isReversed: true });
    expect(viewAfter('r', 'R', 'u')).toMatchObject({ sort: 'u', isReversed: false });
    expect(viewAfter('z', 'é', '1')).toEqual(firstView);
  });
  test('pause and help', () => {
    expect(viewAfter('p')).toMatchObject({ isPaused: true });
    expect(viewAfter('p', 'p', '?')).toMatchObject({ isPaused: false, isHelp: true });
  });
  test('scroll within the rows', () => {
    expect(viewAfter('up')).toMatchObject({ offset: 0 });
    expect(viewAfter('down', 'down', 'up')).toMatchObject({ offset: 1 });
    expect(viewAfter('page down', 'page down', 'page down')).toMatchObject({ offset: 25 });
    expect(viewAfter('end', 'page up')).toMatchObject({ offset: 15 });
    expect(viewAfter('end', 'home')).toMatchObject({ offset: 0 });
  });
});
