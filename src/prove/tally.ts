// Counts what becomes of requests, whichever client sends them.
import type { Count, Habit, Loss, Pause } from './messages.js';

/** Habits whose requests are sent at once. */
const prompt: readonly Habit[] = ['kept-alive', 'one request each'];

export class Tally {
  #began = performance.now();
  #answered = 0;
  #losses: Loss[] = [];
  #reconnects: Loss[] = [];
  readonly #pauses = new Map<Habit, Pause>();

  answered(habit: Habit, pauseMs: number): void {
    this.#answered++;
    this.#waited(habit, pauseMs);
  }

  lost(habit: Habit, reason: string, pauseMs: number): void {
    this.#waited(habit, pauseMs);
    this.#losses.push({ habit, reason, atMs: this.#now });
  }

  reconnected(habit: Habit, reason: string): void {
    this.#reconnects.push({ habit, reason, atMs: this.#now });
  }

  /** What has been since the last time, and begins anew. */
  take(): Count {
    const count = {
      answered: this.#answered,
      losses: this.#losses,
      reconnects: this.#reconnects,
      pauses: [...this.#pauses.values()],
    };
    this.#began = performance.now();
    this.#answered = 0;
    this.#losses = [];
    this.#reconnects = [];
    this.#pauses.clear();
    return count;
  }

  #waited(habit: Habit, pauseMs: number): void {
    const ms = Math.round(pauseMs * 10) / 10;
    if (!prompt.includes(habit) || ms <= (this.#pauses.get(habit)?.ms ?? -1)) return;
    this.#pauses.set(habit, { habit, ms, atMs: this.#now });
  }

  get #now(): number {
    return Math.round(performance.now() - this.#began);
  }
}
