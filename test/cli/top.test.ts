// `mpserve top` in a real terminal: what it shows, its keys, sizes, a server that goes and returns, and how it ends.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullLoop, fullStatus, fullWorker, simpleWorker } from '../fixtures/server-status.ts';
import { repeating } from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { hasTmux, Terminal, type TerminalOptions } from '../helpers/terminal.ts';
import { ToldServer } from '../helpers/told-server.ts';
import { connect } from '../helpers/wire.ts';
import { mpserve } from './command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-top-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const newControl = (): string => path.join(folder, `${count++}.ctl`);
const usual = { columns: 80, rows: 24 };
const large = { columns: 200, rows: 60 };
const topOf = (control: string, options: TerminalOptions): Terminal =>
  new Terminal(['top', '--interval', '250ms', '--control', control], options);
const start = (control: string): Promise<Server> =>
  startServer({ app: fixture('life.cjs'), args: ['--workers', '2', '--control', control] });
const head = (lines: readonly string[]): string => lines.find((line) => line.startsWith('worker')) ?? '';
/** The numbers of the workers in the table, in its order. */
const order = (lines: readonly string[]): number[] =>
  lines.flatMap((line) => /^(\d+) +\d+ \w/.exec(line)?.slice(1) ?? []).map(Number);

test('without a terminal it refuses, and names what can be used instead', async () => {
  expect(await mpserve(['top', '--control', newControl()])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'mpserve: mpserve top needs a terminal; use mpserve ctl status and mpserve ctl workers instead\n',
  });
});

test.each([
  [['top', '--interval', '100ms'], /^mpserve: --interval must be .* from 250ms to 1h, not '100ms'\n$/],
  [['top', 'fast'], /^mpserve: unexpected argument 'fast' after 'top'; usage: mpserve top\n$/],
  [['ctl', 'status', '--interval', '1s'], /^mpserve: --interval only works with mpserve top; remove it\n$/],
])('%j is refused', async (args, message) => {
  const { code, stderr } = await mpserve(args);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

describe.skipIf(!hasTmux)('in a terminal', () => {
  test.concurrent('a running server, at 80 × 24, 200 × 60 and 40 × 10', async () => {
    const control = newControl();
    await using server = await start(control);
    using terminal = topOf(control, usual);
    const lines = await terminal.shows(/^2 +\d+ /);
    expect(lines).toHaveLength(24);
    expect(lines[0]).toMatch(/^serving · prefork · generation 1 · up .* · pid \d+$/);
    expect(lines[0]).toContain(`pid ${server.pid}`);
    expect(head(lines)).toMatch(/^worker +pid +state +req\/s +util +conns +infl +lag p99 +PSS +CPU$/);
    using wire = await connect(server.url);
    await wire.ask('GET /');
    await terminal.shows(/ requests 1$/);
    terminal.resize(large.columns, large.rows);
    expect(head(await terminal.shows(/last request/))).toMatch(/ gen stage .* heap .* last request$/);
    terminal.resize(40, 10);
    const narrow = await terminal.shows(/^worker state +req\/s util$/);
    expect(narrow).toHaveLength(10);
    expect(narrow[9]).toMatch(/^q quit/);
    terminal.resize(usual.columns, usual.rows);
    await terminal.shows(/CPU$/);
    terminal.press('q');
    const after = await terminal.shows(/^ended with 0$/);
    expect(after.filter((line) => line !== '')).toEqual(['before', 'ended with 0']);
    expect(terminal.isRestored).toBe(true);
  });

  test.concurrent('sorts, reverses, scrolls, and shows help', async () => {
    const control = newControl();
    const workers = Array.from({ length: 40 }, (_, i) => simpleWorker(i + 1, (i + 1) * 100));
    await using _ = await ToldServer.listen(control, { status: fullStatus, workers });
    using terminal = topOf(control, usual);
    const first = await terminal.shows(/^1 /);
    expect(order(first).slice(0, 3)).toEqual([1, 2, 3]);
    expect(first[3]).toMatch(/^last error .{68}…$/);
    terminal.press('u');
    expect(order(await terminal.shows(/by util, descending/)).slice(0, 3)).toEqual([40, 39, 38]);
    terminal.press('R');
    expect(order(await terminal.shows(/by util, ascending/)).slice(0, 3)).toEqual([1, 2, 3]);
    terminal.press('End');
    expect(order(await terminal.shows(/–40 of 40/)).at(-1)).toBe(40);
    terminal.press('Up');
    await terminal.shows(/–39 of 40/);
    terminal.press('PageUp', 'PageUp', 'PageUp', 'Down');
    await terminal.shows(/^2–\d+ of 40/);
    terminal.press('?');
    await terminal.shows(/^q, Ctrl-C +quit$/);
    terminal.press('?');
    await terminal.shows(/by util, ascending/);
    terminal.press('C-c');
    await terminal.shows(/^ended with 0$/);
    expect(terminal.isRestored).toBe(true);
  });

  test.concurrent('a pause keeps what is shown', async () => {
    const control = newControl();
    await using server = await ToldServer.listen(control, { status: fullStatus, workers: [fullWorker] });
    using terminal = topOf(control, usual);
    await terminal.shows(/^ {2}└ +tid 1 working/);
    terminal.press('p');
    await terminal.shows(/^ paused /);
    server.told.status = { ...fullStatus, state: 'degraded' };
    terminal.press('u'); // it is drawn again, and what was on its way has come
    await terminal.shows(/by util/);
    let looks = 0;
    server.onLook = () => looks++;
    terminal.press('r');
    await terminal.shows(/by req\/s/);
    expect(terminal.lines()).toContainEqual(expect.stringMatching(/^ paused {2}serving/));
    expect(looks).toBe(0);
    terminal.press('p');
    await terminal.shows(/^degraded/);
  });

  test.concurrent('a request in flight, which may be hostile, is shown and writes nothing to the terminal', async () => {
    const control = newControl();
    const evil = '/\u001b]0;gone\u0007\u001b[2J\u001b[31mred\u001b[5;5Hhere\u009b2J\t日本語\u202e';
    const request = { reqId: 'a', method: 'GET\u001b[2J', url: evil, client: evil };
    const loop = { ...fullLoop, oldest: [{ ...request, ageMs: 61_000 }], last: { ...fullLoop.last, ...request } };
    const status = { ...fullStatus, app: evil, lastError: { at: 'now', message: evil } };
    const workers = [{ ...fullWorker, loops: [loop, { ...loop, tid: 2 }] }];
    await using _ = await ToldServer.listen(control, { status, workers });
    using terminal = topOf(control, large);
    const lines = await terminal.shows(/^sort w worker/, /^ no answer/);
    const escaped = String.raw`/\u001b]0;gone\u0007\u001b[2J\u001b[31mred\u001b[5;5Hhere\u009b2J 日本語\u202e`;
    expect(lines.find((line) => line.startsWith('    61 s'))).toContain(escaped);
    expect(lines[1]).toContain(escaped);
    expect(lines[3]).toBe(`last error now: ${escaped}`);
    expect(lines.filter((line) => line.includes('here'))).toHaveLength(4);
    expect(lines).toHaveLength(60);
    expect(lines[59]).toMatch(/^sort w worker/);
  });

  test.concurrent('threads of a running server, and its requests in flight', async () => {
    const control = newControl();
    const app = path.join(folder, 'holding.cjs');
    writeFileSync(app, 'module.exports = () => {};');
    const server = await startServer({ app, model: 'prethread', args: ['--threads', '2', '--control', control] });
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1');
    try {
      using terminal = topOf(control, usual);
      expect(
        (await terminal.shows(/^ {2}└ +tid \d+ idle/)).filter((line) => /^ {2}└ +tid \d+/.test(line)),
      ).toHaveLength(2);
      socket.write('GET /held/%1b[2J?a=<b> HTTP/1.1\r\nhost: a\r\n\r\n');
      await terminal.shows(/^ {2}└ +tid \d+ working +\S+ .* 1 +1 /);
      await terminal.shows(/^ +\S+ m?s +worker 1, tid \d+ +GET \/held\/%1b\[2J\?a=<b> {2}from 127\.0\.0\.1/);
      await terminal.shows(/^req\/s \S+ · connections 1 · in flight 1 · /);
    } finally {
      socket.destroy();
      await server.kill();
    }
  });

  test.concurrent('says that the server is gone, and goes on when it is back', async () => {
    const control = newControl();
    const first = await start(control);
    using terminal = topOf(control, usual);
    await terminal.shows(/^serving/);
    await first.kill();
    expect(await terminal.shows(/^ no answer: what is shown is \d+ s old; connect ECONNREFUSED/)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^serving/), expect.stringMatching(/^2 +\d+ idle/)]),
    );
    rmSync(control, { force: true });
    await using second = await start(control);
    const lines = await terminal.shows(new RegExp(`^serving .* pid ${second.pid}$`));
    expect(lines.join('\n')).not.toContain('no answer');
  });

  test.concurrent('without a server it ends at once', async () => {
    using terminal = topOf(newControl(), large);
    await terminal.shows(/^mpserve: cannot reach a server at .* \(from --control\): no such socket/);
    await terminal.shows(/^ended with 3$/);
    expect(terminal.isRestored).toBe(true);
  });

  const signals = [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
  ] as const;
  for (const one of signals)
    test.concurrent(`gives the terminal back at ${one[0]}`, repeating(one, signals), async () => {
      const [signal, code] = one;
      const control = newControl();
      await using _ = await ToldServer.listen(control, { status: fullStatus, workers: [] });
      using terminal = topOf(control, usual);
      await terminal.shows(/^serving/);
      process.kill(terminal.pid, signal);
      await terminal.shows(new RegExp(`^ended with ${code}$`));
      expect(terminal.isRestored).toBe(true);
    });

  test.concurrent('gives the terminal back at an exception, and shows it', async () => {
    const control = newControl();
    await using _ = await ToldServer.listen(control, { status: fullStatus, workers: [] });
    const bomb = 'data:text/javascript,process.on("SIGUSR2",()=>{throw new Error("boom")})';
    const options = { ...usual, node: ['--import', bomb] };
    using terminal = topOf(control, options);
    await terminal.shows(/^serving/);
    process.kill(terminal.pid, 'SIGUSR2');
    await terminal.shows(/^Error: boom$/);
    await terminal.shows(/^ended with 1$/);
    expect(terminal.isRestored).toBe(true);
  });

  test.concurrent.each([
    [{}, true],
    [{ NO_COLOR: '1' }, false],
  ])('with %j, in colours: %s', async (env, isColoured) => {
    const control = newControl();
    await using _ = await ToldServer.listen(control, { status: fullStatus, workers: [fullWorker] });
    using terminal = topOf(control, { ...usual, env });
    await terminal.shows(/^ {2}└ +tid 1 working/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are that
    expect(/\u001b\[(?:\d+;)*3[0-7]m/.test(terminal.lines(true).join('\n'))).toBe(isColoured);
  });
});
