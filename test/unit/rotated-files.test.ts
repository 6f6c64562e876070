import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { rotation } from '../../src/config/rotation.ts';
import { RotatedFiles } from '../../src/log/rotated-files.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-names-'));
const log = path.join(folder, 'app.log');
beforeEach(() => {
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true }));

const names = () => readdirSync(folder).sort();
const rotate = (time: string): string => {
  writeFileSync(log, time);
  return path.basename(new RotatedFiles(log).rotate(Date.parse(time)));
};

test('names sort by the time of the rotation, and two in the same millisecond differ', () => {
  expect(rotate('2026-11-27T21:44:08.123Z')).toBe('app.log-20261127T214408.123Z');
  expect(rotate('2026-11-27T21:44:08.123Z')).toBe('app.log-20261127T214408.124Z');
  expect(rotate('2026-11-27T21:44:09Z')).toBe('app.log-20261127T214409.000Z');
});

test('after the clock was set back, a name is later than those that are there, also if they are compressed', () => {
  writeFileSync(`${log}-20270101T000000.999Z.gz`, '');
  expect(rotate('2026-11-27T21:44:08Z')).toBe('app.log-20270101T000001.000Z');
});

test('the oldest are deleted, compressed or not, and nothing else', () => {
  const others = ['app.log-old', 'app.log-20260101T000000.000Z.bak', 'app2.log-20260101T000000.000Z'];
  for (const name of others) writeFileSync(path.join(folder, name), '');
  for (const ms of ['001', '002.gz', '003', '004.gz', '005']) {
    const [digits, end = ''] = ms.split('.');
    writeFileSync(`${log}-20260101T000000.${digits}Z${end && `.${end}`}`, '');
  }
  const files = new RotatedFiles(log);
  files.expire(2);
  expect(names()).toEqual([...others, 'app.log-20260101T000000.004Z.gz', 'app.log-20260101T000000.005Z'].sort());
});

test('a name is given back only while nothing else has it', () => {
  const files = new RotatedFiles(log);
  writeFileSync(log, 'old');
  const rotated = files.rotate(0);
  files.undo(rotated);
  expect(names()).toEqual(['app.log']);
  const again = files.rotate(0);
  writeFileSync(log, 'new');
  files.undo(again);
  expect(names()).toEqual(['app.log', path.basename(again)]);
});

test.each([
  ['daily', { every: 'daily' }],
  ['hourly', { every: 'hourly' }],
  ['100M', { bytes: 104_857_600 }],
  ['off', undefined],
])('--log-rotate %s', (text, value) => {
  expect(rotation().read(text)).toEqual({ value });
  expect(rotation().read(rotation().write(value as never))).toEqual({ value });
});

test.each(['1k', '0', 'weekly', '', '-5M', '2000T'])('--log-rotate %s is refused', (text) => {
  expect(rotation().read(text)).toEqual({
    refused: 'be daily, hourly, or a size such as 100M, from 64k to 1T',
  });
});
