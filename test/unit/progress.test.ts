// The progress of a run: one line that is rewritten on a terminal, and one line for each step elsewhere.
import { afterEach, expect, test, vi } from 'vitest';
import { formatDuration, ProgressLine } from '../../src/testbed/progress.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** @returns what the progress of `steps` writes, `secondsPerStep` apart */
function written(isTerminal: boolean, steps: readonly (readonly [done: number, doing: string])[], secondsPerStep = 1) {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  let text = '';
  const stderr = {
    isTTY: isTerminal,
    columns: 60,
    on: () => {},
    write: (part: string) => {
      text += part;
    },
  };
  vi.stubGlobal('process', { ...process, stderr });
  const line = new ProgressLine();
  for (const [done, doing] of steps) {
    line.show({ doing, done, all: 4 });
    now += secondsPerStep * 1000;
  }
  line.clear();
  return text;
}

test('without a terminal each step is a line', () => {
  expect(
    written(false, [
      [0, 'checking prefork'],
      [0, 'round 1'],
      [1, 'round 2'],
    ]),
  ).toBe('0 of 4 · checking prefork\n0 of 4 · round 1\n1 of 4, 3 s left · round 2\n');
});

test('on a terminal the steps share a line no wider than it, which is empty at the end', () => {
  const long = 'x'.repeat(100);
  const parts = written(true, [
    [0, 'checking prefork'],
    [1, long],
  ]).split('\r\x1b[K');
  expect(parts).toEqual(['', '0 of 4 · checking prefork', `1 of 4, 3 s left · ${long}`.slice(0, 59), '']);
});

test('the time left is estimated anew when the steps are counted from 0 again', () => {
  const text = written(
    false,
    [
      [0, 'a'],
      [1, 'b'],
      [0, 'c'],
      [2, 'd'],
    ],
    10,
  );
  expect(text).toBe('0 of 4 · a\n1 of 4, 30 s left · b\n0 of 4 · c\n2 of 4, 10 s left · d\n');
});

test('a step is one line, whatever is in its name', () => {
  expect(written(false, [[0, 'a\nb\x1b[2J']])).toBe('0 of 4 · a\\nb\\u001b[2J\n');
});

test.each([
  [400, '0 s'],
  [89_400, '89 s'],
  [90_000, '2 min'],
  [5_000_000, '83 min'],
  [5_400_000, '2 h'],
])('%d ms are %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
