// Counts what becomes of requests, whichever client sends them.
import type { Count, Habit, Loss } from './orders.js';

/** Habits whose requests are sent at once, so that their time is the server's. */
const prompt: readonly Habit[] = ['kept-alive', 'one request each'];

export class Tally {
  #began = performance.now();
  #answered = 0;
  #losses: Loss[] = [];
  #reconnects = 0;
  #longestPauseMs = 0;

  answered(habit: Habit, pauseMs: number): void {
    this.#answered++;
    this.#waited(habit, pauseMs);
  }

  lost(habit: Habit, reason: string, pauseMs: number): void {
    this.#waited(habit, pauseMs);
    this.#losses.push({ habit, reason, atMs: Math.round(performance.now() - this.#began) });
  }

  reconnected(): void {
    this.#reconnects++;
  }

  /** What has been since the last time, and begins anew. */
  take(): Count {
    const count = {
      answered: this.#answered,
      losses: this.#losses,
      reconnects: this.#reconnects,
      longestPauseMs: Math.round(this.#longestPauseMs * 10) / 10,
    };
    this.#began = performance.now();
    this.#answered = 0;
    this.#losses = [];
    this.#reconnects = 0;
    this.#longestPauseMs = 0;
    return count;
  }

  #waited(habit: Habit, pauseMs: number): void {
    if (prompt.includes(habit)) this.#longestPauseMs = Math.max(this.#longestPauseMs, pauseMs);
  }
}
