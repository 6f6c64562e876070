// Access lines of many workers at once: each line is written exactly once, and not interleaved with others.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.ts';
import { flood } from '../helpers/flood.ts';
import { fixture, type Line, launchServer, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** PIPE_BUF on Linux: a write up to this size is atomic (pipe(7)). */
const pipeAtomicBytes = 4096;
/** Every fiftieth line is long, up to 6 KB: some exceed an atomic write to a pipe, and some just fit. */
const filling = (n: number): number => (n % 50 === 0 ? (n * 7) % 6000 : n % 40);
const target = (n: number): string => `/${n}?${'x'.repeat(filling(n))}`;

/** With `--accept dispatch`, so that each worker gets an equal number of connections. */
const workerArgs = ['--workers', '8', '--header-timeout', '60s'];
const start = (args: readonly string[], more = {}) =>
  startServer({
    app: fixture('listener.cjs'),
    model: 'prefork',
    accept: 'dispatch',
    args: [...workerArgs, ...args],
    ...more,
  });
const ask = (server: Server, requests: number) => flood(server.url, { connections: 32, requests, depth: 50, target });

/** Asserts that `lines` has each of `count` requests once and nothing else. @returns the number of each, in order. */
function checkRequests(lines: readonly Line[], count: number): number[] {
  const numbers = lines.map(({ url }) => Number.parseInt(String(url).slice(1), 10));
  expect(lines).toHaveLength(count);
  expect(new Set(numbers).size).toBe(count);
  expect(Math.max(...new Set(lines.map(({ level }) => Number(level))))).toBe(30);
  expect(new Set(lines.map(({ pid }) => pid)).size).toBe(8);
  return numbers;
}

const counts: readonly (readonly [count: number, tags: string[]])[] = [
  [10_000, []],
  [200_000, ['long']],
];
for (const [count, tags] of counts)
  describe(`${count} requests to 8 workers`, { tags }, () => {
    test('append one complete line each to a file', async () => {
      const file = path.join(folder, `access-${count}.log`);
      writeFileSync(file, 'what was there before\n');
      const server = await start(['--access-log', file]);
      try {
        await ask(server, count);
      } finally {
        await server.stop();
      }
      const [before, ...texts] = readFileSync(file, 'utf8').trimEnd().split('\n');
      expect(before).toBe('what was there before');
      const lines = texts.map((text) => JSON.parse(text) as Line);
      const cut = checkRequests(lines, count).filter((n, i) => lines[i]?.url !== target(n) || lines[i]?.truncated);
      expect(cut).toEqual([]);
    });

    test('write one line each to a pipe, and shorten the lines that exceed an atomic write', async () => {
      const server = await start(['--access-log', '-'], {
        node: 'sh',
        script: fixture('life-through-pipe.sh'),
        env: { NODE: process.execPath },
      });
      try {
        await ask(server, count);
        process.kill(Number(server.ready.pid), 'SIGTERM');
        await within('the pipe to end', server.exit);
        await server.noneLeft();
      } finally {
        await server.kill();
      }
      expect(server.plain).toEqual([]);
      const lines = server.lines.filter(({ event }) => event === 'request');
      const wrong = checkRequests(lines, count).filter((n, i) => {
        const { url, truncated = false } = lines[i] as Line;
        const text = String(url);
        // A line is its target and some 160 bytes more.
        const known =
          filling(n) < pipeAtomicBytes - 250 ? [false] : filling(n) > pipeAtomicBytes - 100 ? [true] : [true, false];
        return !known.includes(truncated as boolean) || !(truncated ? target(n).startsWith(text) : target(n) === text);
      });
      expect(wrong).toEqual([]);
      expect(lines.filter(({ truncated }) => truncated).length).toBeGreaterThan(count / 50 / 4);
    });
  });

test('--log-file /dev/stdout logs to standard output that is a socket', async () => {
  await using server = await start(['--log-file', '/dev/stdout', '--access-log', '/dev/stdout']);
  expect((await fetch(server.url)).status).toBe(200);
  await server.waitFor('an access line', ({ url }) => url === '/');
});

test('--log-file is appended to, and standard output gets no log lines', async () => {
  const file = path.join(folder, 'server.log');
  writeFileSync(file, 'what was there before\n');
  const url = `unix:${folder}/socket`;
  await using server = launchServer({ bind: [url], args: ['--log-file', file] });
  const events = () =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((text) => JSON.parse(text).event)
      .filter((event) => event !== 'warning'); // the warning that the app runs as root
  await eventually('the ready line', () => events().includes('ready'));
  using wire = await connect(url);
  expect((await wire.ask('GET /')).status).toBe(200);
  await server.stop();
  expect(events()).toEqual(['ready', 'stopping', 'stopped']);
  expect(readFileSync(file, 'utf8')).toMatch(/^what was there before\n/);
  expect([...server.lines, ...server.plain]).toEqual([]);
});
