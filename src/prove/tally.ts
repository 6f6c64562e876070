// Counts what becomes of requests, whichever client sends them.
import type { Count, Habit, Loss, Moment } from './orders.js';

/** Habits whose requests are sent at once, so that their time is the server's. */
const prompt: readonly Habit[] = ['kept-alive', 'one request each'];

export class Tally {
  #began = performance.now();
  #answered = 0;
  #losses: Loss[] = [];
  #reconnects: Loss[] = [];
  #longestPauseMs = 0;
  #paused: Moment | undefined;

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
      longestPauseMs: Math.round(this.#longestPauseMs * 10) / 10,
      ...(this.#paused && { paused: this.#paused }),
    };
    this.#began = performance.now();
    this.#answered = 0;
    this.#losses = [];
    this.#reconnects = [];
    this.#longestPauseMs = 0;
    this.#paused = undefined;
    return count;
  }

  #waited(habit: Habit, pauseMs: number): void {
    if (!prompt.includes(habit) || pauseMs <= this.#longestPauseMs) return;
    this.#longestPauseMs = pauseMs;
    this.#paused = { habit, atMs: this.#now };
  }

  get #now(): number {
    return Math.round(performance.now() - this.#began);
  }
}
