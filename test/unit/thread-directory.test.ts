// `process.chdir` in a thread, while other threads of the process do the same.
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { allowChdir } from '../../src/worker/thread-directory.ts';
import { fixture } from '../helpers/server.ts';

const app = fixture('forging.cjs');
const home = path.dirname(app);
const start = '/';
let now: string;
let moves: string[];
const { chdir } = process;

beforeEach(() => {
  now = start;
  moves = [];
  vi.spyOn(process, 'cwd').mockImplementation(() => now);
  allowChdir(app, (directory) => {
    moves.push(directory);
    now = directory;
  });
});
afterEach(() => {
  process.chdir = chdir;
  vi.restoreAllMocks();
});

test('an app stays where it was when another thread goes home at the same time', () => {
  const where = process.cwd();
  now = home; // the other thread
  process.chdir(where);
  process.chdir(home);
  expect(moves).toEqual([]);
});

test('an app that has gone home cannot go back, or elsewhere', () => {
  process.chdir(home);
  expect(moves).toEqual([home]);
  for (const other of [start, path.join(home, '..')]) expect(() => process.chdir(other)).toThrow(/not supported/);
  expect(moves).toEqual([home]);
});
