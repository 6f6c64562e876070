// The buffer of access lines: atomic writes, and what happens while the destination cannot be written.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { escapeControls } from '../../src/log/escape.ts';
import { LineBuffer } from '../../src/log/line-buffer.ts';
import { LineBytes, textOf } from '../../src/log/line-bytes.ts';
import { reopen, tryLock } from '../../src/os/descriptor.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const asItIs = (text: string, line: LineBytes): void => line.text(text);

const listen = () => {
  const calls: string[] = [];
  let lost = 0;
  return {
    calls,
    failed: (reason: string) => void calls.push(reason.slice(0, 5)),
    resumed: (lost: number) => void calls.push(`resumed, lost ${lost}`),
    written: () => void calls.push('written'),
    lost: (count: number) => {
      lost += count;
    },
    get lostLines() {
      return lost;
    },
  };
};

test('writes lines of any length and alphabet complete and in order', () => {
  const file = path.join(folder, 'log');
  const fd = openSync(file, 'a');
  const buffer = new LineBuffer({ fd, atomicBytes: 4096 }, asItIs, listen());
  const lines = Array.from(
    { length: 500 },
    (_, n) => `{"n":${n},"text":"${'aé😀'[n % 2]?.repeat((n * 37) % 1900)}"}\n`,
  );
  for (const line of lines) buffer.add(line);
  buffer.flush();
  closeSync(fd);
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''));
});

test('a line that is too long is shortened, and the next one is whole, also while nothing can be written', () => {
  const file = path.join(folder, 'log');
  writeFileSync(file, '');
  const fd = openSync(file, constants.O_RDONLY); // cannot be written
  const buffer = new LineBuffer({ fd, atomicBytes: 1000 }, asItIs, listen());
  buffer.add(`{"n":0,"text":"${'x'.repeat(300)}"}\n`);
  buffer.flush();
  buffer.add(`{"n":1,"text":"${'é'.repeat(2000)}"}\n`); // does not fit beside the first
  buffer.add('{"n":2}\n');
  reopen(fd, file);
  buffer.flush();
  buffer.add(`{"n":3,"text":"${'é'.repeat(2000)}"}\n`);
  buffer.add('{"n":4}\n');
  buffer.flush();
  closeSync(fd);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    ...[{ n: 0 }, { n: 2 }],
    ...[{ n: 3, text: expect.stringMatching(/^é{400,}$/), truncated: true }, { n: 4 }],
  ]);
});

test.each(['', 'plain', 'é', '\u2028', '😀', '\ud800', 'a'.repeat(9000), 'é'.repeat(9000)])('%j as bytes', (text) => {
  const write = (_: undefined, line: LineBytes): void => {
    line.text(text);
    line.escaped(text, (unfit) => `<${unfit}>`);
    line.text('\n');
  };
  const isPlain = /^[ -~]*$/.test(text);
  const utf8 = Buffer.from(text).toString();
  expect(textOf(write, undefined)).toBe(`${utf8}${isPlain ? text : `<${utf8}>`}\n`);
  // What does not fit is counted, and leaves the rest alone.
  const line = new LineBytes(8);
  line.text('1234');
  line.text('é'.repeat(3));
  expect(line.used).toBe(10);
  line.used = 4;
  line.text('5678');
  expect(line.bytes.toString()).toBe('12345678');
});

test('while writing fails, reports it once, keeps lines up to the limit and counts the others', () => {
  const fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const { O_RDONLY, O_NONBLOCK } = constants;
  const first = openSync(fifo, O_RDONLY | O_NONBLOCK);
  const listener = listen();
  const buffer = new LineBuffer({ fd: openSync(fifo, 'a'), atomicBytes: 1000 }, asItIs, listener);
  closeSync(first);
  for (let n = 0; n < 50; n++) buffer.add(`{"n":${n},"text":"${'x'.repeat(80)}"}\n`);
  expect(listener.calls).toEqual(['EPIPE']);
  const { lostLines } = listener; // told at once
  const second = openSync(fifo, O_RDONLY | O_NONBLOCK);
  buffer.flush();
  const bytes = Buffer.alloc(65_536);
  const kept = bytes.toString('latin1', 0, readSync(second, bytes)).trimEnd().split('\n');
  expect(kept.map((text) => JSON.parse(text).n)).toEqual(kept.map((_, n) => n));
  expect(kept.length).toBeLessThanOrEqual(10);
  expect(listener.calls).toEqual(['EPIPE', 'written', `resumed, lost ${50 - kept.length}`]);
  expect(lostLines).toBe(50 - kept.length);
});

test('a line that was cut is ended once: while another worker ends it, lines wait', async () => {
  const file = path.join(folder, 'log');
  const earlier = '{"n":"the line of another worker, cu';
  writeFileSync(file, earlier);
  const others = openSync(file, 'r+');
  expect(tryLock(others)).toBe(true);
  const fd = openSync(file, constants.O_RDONLY); // cannot be written
  const listener = listen();
  const buffer = new LineBuffer({ fd, atomicBytes: 4096 }, asItIs, listener);
  buffer.add('{"n":1}\n');
  buffer.flush();
  expect(listener.calls).toEqual(['EBADF']);
  reopen(fd, file); // can be written from now on
  buffer.flush();
  expect(readFileSync(file, 'utf8')).toBe(earlier);
  closeSync(others);
  // A process that another test is starting holds the lock as well, until its exec(2): the buffer's own retry comes later.
  await expect.poll(() => listener.calls, { timeout: 10_000 }).toEqual(['EBADF', 'written', 'resumed, lost 0']);
  expect(readFileSync(file, 'utf8')).toBe(`${earlier}\n{"n":1}\n`);
});

test('escapeControls keeps letters, tabs and the given characters', () => {
  const text = 'é\t\n\u001b[2J\u009b\u2028\u202e';
  expect(escapeControls(text)).toBe('é\t\\n\\u001b[2J\\u009b\\u2028\\u202e');
  expect(escapeControls(text, '\n')).toBe('é\t\n\\u001b[2J\\u009b\\u2028\\u202e');
});
