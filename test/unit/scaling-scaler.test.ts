// How many members a pool should have, with simulated loads on a fake clock.
import { describe, expect, test } from 'vitest';
import { type Member, type Range, Scaler, sampleIntervalMs } from '../../src/scaling/scaler.ts';

const range: Range = { min: 1, max: 8, spareMin: 1, spareMax: 2, idleTimeout: 2000, scaleOn: 'busy' };

/** A pool whose members share a total load evenly, each with at most 1. */
class SimulatedPool {
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

  /** Lets `ms` milliseconds pass under the load. */
  run(ms: number, total: number, bootMs = 300): void {
    let bootedAt = 0;
    let ready = this.size;
    for (const end = this.now + ms; this.now < end; this.now += sampleIntervalMs) {
      if (this.now >= bootedAt) ready = this.size;
      const load = Math.min(1, total / ready);
      const members: Member[] = Array.from({ length: Math.min(ready, this.size) }, (_, i) => ({ id: i + 1, load }));
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

test('grows faster and faster until enough members are idle or the maximum is reached', () => {
  const pool = new SimulatedPool(new Scaler(range), 1);
  pool.run(2000, 100);
  expect(pool.sizes).toEqual([1, 3, 6, 8]);
  expect(pool.reasons[0]).toBe('fewer idle than --spare-min 1: 0 of 1 (100 % busy)');
});

test('does not grow beyond what is needed', () => {
  const pool = new SimulatedPool(new Scaler(range), 1);
  pool.run(20_000, 1.5);
  expect(pool.size).toBeLessThanOrEqual(4);
  expect(directions(pool.sizes)).toBe(1);
});

test('shrinks when too many were idle for all of --idle-timeout', () => {
  const pool = new SimulatedPool(new Scaler(range), 8);
  pool.run(1900, 0);
  expect(pool.sizes).toEqual([8]);
  pool.run(100, 1); // one is needed for a moment
  pool.run(600, 0);
  expect(pool.sizes).toEqual([8, 3]);
  expect(pool.reasons[0]).toMatch(/^more idle than --spare-max 2 for 2 s: 8 of 8 \(/);
});

test('keeps the members that a short peak needed', () => {
  const pool = new SimulatedPool(new Scaler(range), 8);
  pool.run(1000, 0);
  pool.run(500, 3); // 3 / 0.6 and a spare one
  pool.run(750, 0);
  expect(pool.size).toBeGreaterThanOrEqual(5);
});

test('changes direction once for each edge of a square wave', () => {
  const pool = new SimulatedPool(new Scaler(range), 1);
  for (let wave = 0; wave < 5; wave++) {
    const before = pool.sizes.length;
    pool.run(6000, 64);
    expect(pool.size).toBe(8);
    pool.run(8000, 0.5);
    expect(pool.size).toBeLessThanOrEqual(3);
    expect(directions(pool.sizes.slice(Math.max(0, before - 1)))).toBe(2);
  }
});

test.each([0.3, 0.6, 0.9, 1.2, 1.5, 2, 2.5, 3, 4])('a steady load of %d reaches a steady size', (total) => {
  const pool = new SimulatedPool(new Scaler(range), 1);
  pool.run(20_000, total);
  const before = pool.sizes.length;
  pool.run(120_000, total);
  expect(pool.sizes.length).toBe(before);
});

describe('bounds', () => {
  test('never below the minimum, never above the maximum', () => {
    const pool = new SimulatedPool(new Scaler({ ...range, min: 2, max: 3 }), 2);
    pool.run(5000, 100);
    pool.run(10_000, 0);
    expect(pool.sizes).toEqual([2, 3, 2]);
  });

  test('does not grow again while members are starting', () => {
    const pool = new SimulatedPool(new Scaler(range), 1);
    pool.run(1000, 100, 60_000);
    expect(pool.sizes).toEqual([1, 3]);
  });
});
