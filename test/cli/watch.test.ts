// `mpserve ctl status --watch`: prints again each second, into a pipe or in place.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullStatus, fullWorker, simpleWorker } from '../fixtures/server-status.ts';
import { eventually } from '../helpers/eventually.ts';
import { root } from '../helpers/server.ts';
import { hasTmux, Terminal } from '../helpers/terminal.ts';
import { ToldServer } from '../helpers/told-server.ts';
import { mpserve } from './command.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-watch-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const newControl = (): string => path.join(folder, `${count++}.ctl`);
const told = { status: fullStatus, workers: [fullWorker] };

/** With its output in a pipe. */
function watching(args: readonly string[], control: string) {
  const command = [path.join(root, 'bin/mpserve.js'), 'ctl', ...args, '--watch', '--control', control];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const seen = { child, text: '', exit: once(child, 'exit'), [Symbol.dispose]: () => void child.kill('SIGKILL') };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    seen.text += text;
  });
  return seen;
}

test.concurrent('in a pipe: blocks with an empty line between two, until SIGINT', async () => {
  const control = newControl();
  const server = await ToldServer.listen(control, told);
  using watch = watching(['status'], control);
  await eventually('a block', () => watch.text.includes('last reload'));
  server.told.status = { ...fullStatus, state: 'degraded' };
  await eventually('the next one', () => /last reload.*\n\nstate +degraded/.test(watch.text));
  await server[Symbol.asyncDispose]();
  await eventually('the loss of the server', () => /\n\nno answer for \d+ s: connect E\w+ .*\n$/.test(watch.text));
  await using _ = await ToldServer.listen(control, told);
  await eventually('its return', () => /no answer.*\n\nstate +serving/.test(watch.text));
  watch.child.kill('SIGINT');
  expect(await watch.exit).toEqual([0, null]);
  expect(watch.text).toMatch(/\n$/);
});

test.concurrent('workers, as JSON', async () => {
  const control = newControl();
  await using _ = await ToldServer.listen(control, told);
  using watch = watching(['workers', '--json'], control);
  await eventually('two blocks', () => watch.text.split('\n\n').length > 1);
  expect(JSON.parse(watch.text.split('\n\n')[0] ?? '')).toEqual([fullWorker]);
});

test.concurrent('ends when its reader has gone', async () => {
  const control = newControl();
  await using _ = await ToldServer.listen(control, told);
  using watch = watching(['status'], control);
  await eventually('a block', () => watch.text !== '');
  watch.child.stdout.destroy();
  expect(await watch.exit).toEqual([0, null]);
});

test.concurrent.each([
  [['status', '--watch'], 3, /^mpserve: cannot reach a server at /],
  [
    ['reload', '--watch'],
    2,
    /^mpserve: --watch only works with mpserve ctl status and mpserve ctl workers; remove it\n$/,
  ],
  [['status', '--watch', '--check'], 2, /^mpserve: --watch and --check exclude each other; remove one\n$/],
  [['status', '--watch=src'], 2, /^mpserve: --watch takes no value: write --watch or --no-watch, not --watch=src\n$/],
])('%j fails', async (args, code, message) => {
  const outcome = await mpserve(['ctl', ...args, '--control', newControl()]);
  expect(outcome).toMatchObject({ code, stderr: expect.stringMatching(message), stdout: '' });
});

describe.skipIf(!hasTmux)('in a terminal', () => {
  test.concurrent('in place, not wider nor higher than the terminal, until Ctrl-C', async () => {
    const control = newControl();
    const workers = Array.from({ length: 40 }, (_, i) => simpleWorker(i + 1));
    await using server = await ToldServer.listen(control, { status: fullStatus, workers });
    using terminal = new Terminal(['ctl', 'workers', '--watch', '--control', control], { columns: 80, rows: 24 });
    await terminal.shows(/^… and 19 more lines$/);
    server.told.workers = workers.slice(0, 3).map((worker) => ({ ...worker, generation: 77 }));
    const lines = await terminal.shows(/^1 .* 77 /);
    expect(lines.slice(0, 4).map((line) => line.split(' ')[0])).toEqual(['worker', '1', '2', '3']);
    expect(lines.slice(4).join('')).toBe('');
    terminal.press('C-c');
    expect(await terminal.shows(/ended with 0$/)).not.toContain('before');
    expect(terminal.isRestored).toBe(true);
  });
});
