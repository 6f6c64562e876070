// How many members a pool should have, by made-up loads on a made-up clock.
import { describe, expect, test } from 'vitest';
import { lookEvery, type Member, type Range, Scaler } from '../../src/scaling/scaler.ts';

const range: Range = { min: 1, max: 8, spareMin: 1, spareMax: 2, idleMs: 2000, measure: 'busy' };

/** A pool under a total load that its members share evenly, none with more than it can bear. */
class World {
  size: number;
  now = 0;
  readonly sizes: number[];
  readonly reasons: string[] = [];

  constructor(
    readonly scaler: Scaler,
    size: number,
  ) {
    this.size = size;
    this.sizes = [size];
  }

  /** Time in which nothing else happens (milliseconds). */
  pass(ms: number, total: number, bootMs = 300): void {
    let bootedAt = 0;
    let living = this.size;
    for (const end = this.now + ms; this.now < end; this.now += lookEvery) {
      if (this.now >= bootedAt) living = this.size;
      const load = Math.min(1, total / living);
      const members: Member[] = Array.from({ length: Math.min(living, this.size) }, (_, i) => ({ id: i + 1, load }));
      const decision = this.scaler.decide(members, this.size, this.now);
      if (!decision) continue;
      bootedAt = this.now + (decision.size > this.size ? bootMs : 0);
      this.size = decision.size;
      this.sizes.push(this.size);
      this.reasons.push(decision.reason);
    }
  }
}

const directions = (sizes: readonly number[]): number => {
  const steps = sizes.slice(1).map((size, i) => Math.sign(size - (sizes[i] as number)));
  return steps.filter((step, i) => step !== steps[i - 1]).length;
};

test('it grows, faster and faster, until some are idle or there are as many as may be', () => {
  const world = new World(new Scaler(range), 1);
  world.pass(2000, 100);
  expect(world.sizes).toEqual([1, 3, 6, 8]);
  expect(world.reasons[0]).toBe('fewer idle than --spare-min 1: 0 of 1 (100 % busy)');
});

test('it does not grow beyond what is needed', () => {
  const world = new World(new Scaler(range), 1);
  world.pass(20_000, 1.5);
  expect(world.size).toBeLessThanOrEqual(4);
  expect(directions(world.sizes)).toBe(1);
});

test('it shrinks when too many were idle for all of --idle-timeout, and no sooner', () => {
  const world = new World(new Scaler(range), 8);
  world.pass(1900, 0);
  expect(world.sizes).toEqual([8]);
  world.pass(100, 1); // one is needed for a moment
  world.pass(600, 0);
  expect(world.sizes).toEqual([8, 3]);
  expect(world.reasons[0]).toMatch(/^more idle than --spare-max 2 for 2 s: 8 of 8 \(/);
});

test('what is needed in between stays', () => {
  const world = new World(new Scaler(range), 8);
  world.pass(1000, 0);
  world.pass(500, 3); // 3 / 0.6 and a spare one
  world.pass(750, 0);
  expect(world.size).toBeGreaterThanOrEqual(5);
});

test('a square wave changes its direction once for each edge', () => {
  const world = new World(new Scaler(range), 1);
  for (let wave = 0; wave < 5; wave++) {
    const before = world.sizes.length;
    world.pass(6000, 64);
    expect(world.size).toBe(8);
    world.pass(8000, 0.5);
    expect(world.size).toBeLessThanOrEqual(3);
    expect(directions(world.sizes.slice(Math.max(0, before - 1)))).toBe(2);
  }
});

test.each([0.3, 0.6, 0.9, 1.2, 1.5, 2, 2.5, 3, 4])('a steady load of %d comes to rest', (total) => {
  const world = new World(new Scaler(range), 1);
  world.pass(20_000, total);
  const before = world.sizes.length;
  world.pass(120_000, total);
  expect(world.sizes.length).toBe(before);
});

describe('bounds', () => {
  test('never below the least, never above the most', () => {
    const world = new World(new Scaler({ ...range, min: 2, max: 3 }), 2);
    world.pass(5000, 100);
    world.pass(10_000, 0);
    expect(world.sizes).toEqual([2, 3, 2]);
  });

  test('those that are still starting are waited for', () => {
    const world = new World(new Scaler(range), 1);
    world.pass(1000, 100, 60_000);
    expect(world.sizes).toEqual([1, 3]);
  });
});
