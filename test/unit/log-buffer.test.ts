// The lines of a worker, where nothing takes them and where something does again.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { escapeControls } from '../../src/log/escape.ts';
import { LineBuffer } from '../../src/log/line-buffer.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const listen = () => {
  const told: string[] = [];
  return {
    told,
    failed: (reason: string) => void told.push(reason.slice(0, 5)),
    resumed: (lost: number) => void told.push(`resumed, lost ${lost}`),
    written: () => void told.push('written'),
  };
};

test('lines of any length and alphabet are written whole and in order', () => {
  const file = path.join(folder, 'log');
  const fd = openSync(file, 'a');
  const buffer = new LineBuffer({ fd, whole: 4096 }, listen());
  const lines = Array.from(
    { length: 500 },
    (_, n) => `{"n":${n},"text":"${'aé😀'[n % 2]?.repeat((n * 37) % 1900)}"}\n`,
  );
  for (const line of lines) buffer.add(line);
  buffer.flush();
  closeSync(fd);
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''));
});

test('what cannot be written is kept up to a bound, told once, and the rest is counted', () => {
  const fifo = path.join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const { O_RDONLY, O_NONBLOCK } = constants;
  const first = openSync(fifo, O_RDONLY | O_NONBLOCK);
  const listener = listen();
  const buffer = new LineBuffer({ fd: openSync(fifo, 'a'), whole: 1000 }, listener);
  closeSync(first);
  for (let n = 0; n < 50; n++) buffer.add(`{"n":${n},"text":"${'x'.repeat(80)}"}\n`);
  expect(listener.told).toEqual(['EPIPE']);
  const again = openSync(fifo, O_RDONLY | O_NONBLOCK);
  buffer.flush();
  const bytes = Buffer.alloc(65_536);
  const kept = bytes.toString('latin1', 0, readSync(again, bytes)).trimEnd().split('\n');
  expect(kept.map((text) => JSON.parse(text).n)).toEqual(kept.map((_, n) => n));
  expect(kept.length).toBeLessThanOrEqual(10);
  expect(listener.told).toEqual(['EPIPE', 'written', `resumed, lost ${50 - kept.length}`]);
});

test('escaping leaves letters, tabs and what is to be kept', () => {
  const text = 'é\t\n\u001b[2J\u009b\u2028\u202e';
  expect(escapeControls(text)).toBe('é\t\\n\\u001b[2J\\u009b\\u2028\\u202e');
  expect(escapeControls(text, '\n')).toBe('é\t\n\\u001b[2J\\u009b\\u2028\\u202e');
});
