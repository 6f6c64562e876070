// Finds blocked event loops by their heartbeats: one timer for all that this process watches, and none without any.
import { now } from '../clock.js';
import { beatIntervalMs, msSince } from './heartbeat.js';

export interface WatchedLoop {
  /** Milliseconds without a beat after which it is blocked. */
  readonly hangMs: number;
  /** When its next beat is due (`monotonicMs`); 0 before the first, undefined while it may be paused. */
  dueBy(): number | undefined;
  /** Whether it is paused from outside. Called only when it would be reported as blocked. */
  isPaused?(): boolean;
  /** Called once, with the milliseconds that it has been blocked at least. After that it is no longer watched. */
  onBlocked(ms: number): void;
}

/** Since when each could have been found blocked, on the clock of `clock.ts`. */
const watchedSince = new Map<WatchedLoop, number>();
let timer: NodeJS.Timeout | undefined;
let intervalMs = Number.POSITIVE_INFINITY;
let checkedAt = 0;

/** @returns a function that stops watching */
export function watchLoop(loop: WatchedLoop): () => void {
  watchedSince.set(loop, now());
  const wantedMs = checkIntervalMs(loop.hangMs);
  if (wantedMs < intervalMs) schedule(wantedMs);
  return () => unwatch(loop);
}

function checkIntervalMs(hangMs: number): number {
  return Math.max(beatIntervalMs(hangMs), Math.min(5000, hangMs / 6));
}

function schedule(ms: number): void {
  clearInterval(timer);
  intervalMs = ms;
  checkedAt = now();
  timer = setInterval(check, ms);
  timer.unref();
}

function unwatch(loop: WatchedLoop): void {
  watchedSince.delete(loop);
  if (watchedSince.size > 0) return;
  clearInterval(timer);
  intervalMs = Number.POSITIVE_INFINITY;
}

function check(): void {
  const time = now();
  const sinceLastCheckMs = time - checkedAt;
  checkedAt = time;
  for (const [loop, since] of watchedSince) {
    const { hangMs } = loop;
    // If this check is late as well, the machine was asleep, or too busy to blame an event loop.
    const isLate = sinceLastCheckMs > Math.max(hangMs / 2, 2 * intervalMs);
    const dueBy = isLate ? undefined : loop.dueBy();
    if (dueBy === undefined) {
      watchedSince.set(loop, time);
      continue;
    }
    const blockedMs = Math.min(time - since, dueBy === 0 ? Number.POSITIVE_INFINITY : msSince(dueBy));
    if (blockedMs < hangMs) continue;
    if (loop.isPaused?.()) watchedSince.set(loop, time);
    else {
      unwatch(loop);
      loop.onBlocked(blockedMs);
    }
  }
}
