// Which requests are slow, by how long those of their paths usually take.
import { expect, test } from 'vitest';
import { UsualTimes } from '../../src/tasks/usual-times.ts';

function after(rounds: number, takenMs: Readonly<Record<string, number>>): UsualTimes {
  const times = new UsualTimes();
  for (let i = 0; i < rounds; i++) for (const [url, ms] of Object.entries(takenMs)) times.took('GET', url, ms);
  return times;
}

test('a path that usually takes far longer than the others is slow, whatever its query', () => {
  const times = after(20, { '/a': 1, '/b': 2, '/c': 1, '/report?year=1': 100 });
  expect(['/a', '/b', '/report', '/report?year=2'].map((url) => times.isSlow('GET', url))).toEqual([
    ...[false, false, true, true],
  ]);
});

test('nothing is slow before a request has ended, where all take as long, or where none takes long', () => {
  expect(new UsualTimes().isSlow('GET', '/')).toBe(false);
  expect(after(3, { '/report': 100 }).isSlow('GET', '/report')).toBe(false);
  expect(after(3, { '/a': 0.1, '/b': 0.1, '/c': 3 }).isSlow('GET', '/c')).toBe(false);
});

test('a path or a method that is not known is not slow', () => {
  const times = after(20, { '/a': 1, '/b': 1, '/report': 100 });
  expect([times.isSlow('GET', '/other'), times.isSlow('POST', '/report')]).toEqual([false, false]);
});

test('a path that has become quick is slow no more', () => {
  const times = after(20, { '/a': 1, '/b': 1, '/report': 100 });
  for (let i = 0; i < 100; i++) times.took('GET', '/report', 1);
  expect(times.isSlow('GET', '/report')).toBe(false);
});

test('paths that are not used any more are forgotten', () => {
  const times = after(20, { '/a': 1, '/b': 1, '/report': 100 });
  for (let i = 0; i < 1000; i++) times.took('GET', `/${i}`, 1);
  expect(times.isSlow('GET', '/report')).toBe(false);
});
