// What a server tells of itself as text.
import { expect, test } from 'vitest';
import { statusText, textOf, workersText } from '../../src/control/text.ts';
import { failedStatus, fullLoop, fullStatus, fullWorker, simpleWorker } from '../fixtures/server-status.ts';

test('the state of the server', () => {
  expect(`\n${statusText(fullStatus)}\n`).toMatchInlineSnapshot(`
    "
    state         serving, reload in progress
    last error    2026-01-02T03:04:05.000Z: worker 1 (pid 4001) crashed: TypeError: x is undefined
    app           /srv/shop/server.js on http://127.0.0.1:8080
    model         hybrid, 2 worker(s), all ready, 2 thread(s) each
    route /pdf/*  serving, prethread, requests on threads, 1 worker(s), all ready, 2 thread(s) each, 7 requests
    unit          request: threads get single requests
    balance       least-connections
    sessions      12 placed again
    cache         86 % hits (9,000, 1,200 misses), redis://cache:6379/1?prefix=shop, up, but takes nothing, 1,234 errors
    auto-scaling  1 to 4 workers, 2 to 8 threads
    last scaling  2026-01-02T03:04:05.000Z: from 1 to 2 workers, load 0.91
    generation    3
    requests      1,234,567
    starts        6 process(es), 12 thread(s)
    exits         process: 3 reload, 1 signal; thread: 8 host
    uptime        1 h 2 min, pid 4000
    last reload   2026-01-02T03:04:05.000Z: reloaded to generation 3
    "
  `);
  expect(statusText(failedStatus)).toMatch(/^last reload +\S+: failed: the app failed to load$/m);
});

test('what the cache has done', () => {
  expect(textOf('cache', null)).toBe('the server has no cache (--cache)');
  expect(`\n${textOf('cache', fullStatus.cache)}\n`).toMatchInlineSnapshot(`
    "
    hit ratio    86 %
    hits         9,000
    stale        20
    revalidated  300
    coalesced    400
    misses       1,200
    bypassed     50
    stored       1,100
    evicted      100
    store        redis://cache:6379/1?prefix=shop
    state        up, but takes nothing, 1,234 errors
    "
  `);
});

test('workers, and under each its threads', () => {
  const text = workersText([fullWorker, { ...fullWorker, worker: 2, pid: 4002, loops: [] }]);
  expect(`\n${text}\n`).toMatchInlineSnapshot(`
    "
    worker  route   pid    generation  stage  uptime     requests  load  memory  CPU time  placed  open  state    connections  in flight  utilization  lag p50/p99  heap
    1       /pdf/*  4001   3           ready  1 min 1 s  2,000     41 %  71 MB   12.5 s    40      24    working  12           2          22 %         0.4/7.3 ms   62 MB
    └               tid 1                                1,000                                           working  12           2          42 %         0.4/7.3 ms   31 MB
    └               tid 2                                1,000                                           idle     0            0          2 %          0.4/7.3 ms   31 MB
    2       /pdf/*  4002   3           ready  1 min 1 s  2,000     41 %  71 MB   12.5 s    40      24    –        –            –          –            –            –
    "
  `);
});

test('a process with one event loop, its own, has one line', () => {
  const lines = workersText([simpleWorker(1), simpleWorker(2)]).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^1 .* keep-alive +12 +2 +1 % +– +31 MB$/);
});

test('of several threads, the state is the first in the order of states, and the lag the worst', () => {
  const loops = [
    { ...fullLoop, state: 'idle' as const, lagMs: { p50: 9, p99: 10 }, utilization: 0 },
    { ...fullLoop, tid: 2, state: 'blocked' as const, lagMs: { p50: 1, p99: 500 }, utilization: 1 },
  ];
  expect(workersText([{ ...fullWorker, loops }]).split('\n')[1]).toMatch(
    /blocked +24 +4 +50 % +9\.0\/500\.0 ms +62 MB/,
  );
});

test('what clients and the app have chosen is escaped', () => {
  const evil = '\u001b[2J\n';
  const text = statusText({ ...fullStatus, app: evil, lastError: { at: 'now', message: evil } });
  expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  expect(text.split('\n')).toHaveLength(statusText(fullStatus).split('\n').length);
  const suspect = { fingerprint: 'x', method: 'GET', url: evil, deaths: 1, at: 'now', isRefused: true };
  expect(textOf('quarantine', [suspect])).toContain('GET \\u001b[2J');
});
