// When the number of workers follows the limits of the container. How they change is up to these tests.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Machine } from '../../src/config/constraints.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Refused } from '../../src/control/refused.ts';
import { Events, type ServerEvent } from '../../src/events.ts';
import { watchLimits } from '../../src/supervisor/limits-watch.ts';
import { models, table } from './config-fixture.ts';

const gibi = 1024 ** 3;
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** @returns what the watch does when the container of a server with these options changes from one limit to the other */
async function change(argv: Readonly<Record<string, unknown>>, from: Machine, to: Machine, failures: Error[] = []) {
  const events = new Events();
  const told: ServerEvent[] = [];
  events.open((event) => told.push(event));
  const { config, sources, env, routes, sizesOn } = await loadConfig({
    table,
    models,
    argv,
    env: {},
    cwd: '/',
    machine: from,
  });
  let settings = { config, sources, env, routes, sizesOn };
  let machine = from;
  const followed: Machine[] = [];
  const stop = new AbortController();
  const follow = async (next: Machine) => {
    followed.push(next);
    const failure = failures.shift();
    if (failure) throw failure;
    const { pool } = settings.config;
    settings = { ...settings, config: { ...settings.config, pool: { ...pool, ...settings.sizesOn(next) } } };
  };
  watchLimits({ settings: () => settings, follow, events, signal: stop.signal, look: () => machine });
  await vi.advanceTimersByTimeAsync(20_000);
  expect([told, followed]).toEqual([[], []]);
  machine = to;
  await vi.advanceTimersByTimeAsync(20_000);
  return { told, followed, later: (ms: number) => vi.advanceTimersByTimeAsync(ms), end: () => stop.abort() };
}

const small = { cores: 1, memory: gibi };
const large = { cores: 4, memory: 2 * gibi };

test('with auto the workers follow, once', async () => {
  const { told, followed } = await change({ model: 'prefork' }, small, large);
  expect(followed).toEqual([large]);
  expect(told).toEqual([
    {
      event: 'limits-changed',
      fromCores: 1,
      fromMemory: gibi,
      cores: 4,
      memory: 2 * gibi,
      needsReload: false,
    },
  ]);
});

test('a number that is given stays', async () => {
  const { told, followed } = await change({ model: 'prefork', workers: '2' }, small, large);
  expect(followed).toEqual([]);
  expect(told).toMatchObject([{ event: 'limits-changed', needsReload: false }]);
});

test('threads need a reload', async () => {
  const { told, followed } = await change({ model: 'prethread' }, small, {
    ...large,
    memory: Number.POSITIVE_INFINITY,
  });
  expect(followed).toEqual([]);
  expect(told).toEqual([{ event: 'limits-changed', fromCores: 1, fromMemory: gibi, cores: 4, needsReload: true }]);
});

test('the range of auto-scaling follows', async () => {
  const { followed } = await change({ model: 'prefork', minWorkers: '1' }, { ...small, cores: 2 }, large);
  expect(followed).toEqual([large]);
});

test('a pool that begins to scale needs a reload: its workers do not measure their load yet', async () => {
  const { told, followed } = await change({ model: 'prefork', minWorkers: '1' }, small, large);
  expect(followed).toEqual([]);
  expect(told).toMatchObject([{ needsReload: true }]);
});

test('follows again when another action was in progress', async () => {
  const { followed } = await change({ model: 'prefork' }, small, large, [new Refused('a reload is in progress')]);
  expect(followed).toEqual([large, large]);
});

test('waits a minute when new workers could not start', async () => {
  const { followed, later } = await change({ model: 'prefork' }, small, large, [new Error('it exited with code 1')]);
  expect(followed).toEqual([large]);
  await later(60_000);
  expect(followed).toEqual([large, large]);
});

test('looks no more when the server stops', async () => {
  const { followed, end, later } = await change({ model: 'prefork' }, small, large, [
    new Refused('a reload is in progress'),
  ]);
  expect(followed).toHaveLength(2);
  end();
  expect(vi.getTimerCount()).toBe(0);
  await later(10_000);
});
