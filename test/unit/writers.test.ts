import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { hasWriters } from '../../src/os/descriptor.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-writers-'));
const file = path.join(folder, 'log');
afterAll(() => rmSync(folder, { recursive: true }));

test.runIf(process.platform === 'linux')('a file has writers while a process has it open for writing', () => {
  writeFileSync(file, '');
  const reader = openSync(file, 'r');
  expect(hasWriters(reader)).toBe(false);
  const writer = openSync(file, 'a');
  expect(hasWriters(reader)).toBe(true);
  closeSync(writer);
  expect(hasWriters(reader)).toBe(false);
  closeSync(reader);
});

test.runIf(process.platform === 'linux')('a process that opens the file at that moment does not end us', async () => {
  const opening = spawn('sh', ['-c', `echo begun; while :; do : >> ${file}; done`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(opening, 'exit');
  await once(opening.stdout, 'data');
  const reader = openSync(file, 'r');
  const seen = new Set<boolean | undefined>();
  for (let i = 0; i < 20_000; i++) seen.add(hasWriters(reader));
  opening.kill();
  await ended;
  closeSync(reader);
  expect(seen.has(false)).toBe(true);
});
