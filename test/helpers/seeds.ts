// Random numbers that a seed repeats, for tests of cases that nobody has thought of.

export interface Random {
  /** A whole number from `min` to `max`. */
  integer(min: number, max: number): number;
  pick<T>(all: readonly T[]): T;
  /** True as often as `probability`, from 0 to 1. */
  chance(probability: number): boolean;
}

/** mulberry32. @param seed a whole number of 32 bits */
export function randomOf(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    integer,
    pick: (all) => all[integer(0, all.length - 1)] as never,
    chance: (probability) => next() < probability,
  };
}

/** A seed that no run has had before, which is printed: SEED repeats it. */
export function newSeed(subject: string): number {
  const seed = Number(process.env.SEED) || Math.floor(Math.random() * 2 ** 31);
  console.log(`${subject}: SEED=${seed}`);
  return seed;
}
