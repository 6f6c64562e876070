// Looks at the heartbeats of the event loops that this process watches: one timer for all of them, and none without any.
import { now } from '../clock.js';
import { beatEvery, msSince } from './heartbeat.js';

/** An event loop that is watched. */
export interface Subject {
  /** It is blocked when it has not turned for so long (milliseconds). */
  readonly hangMs: number;
  /** By when it will have turned again (`monotonicMs`); 0 before its first heartbeat, undefined while it need not. */
  dueBy(): number | undefined;
  /** Whether it has a reason not to turn that is none of its own. Asked only before it is found blocked. */
  isExcused?(): boolean;
  /** Called once, with for how long it has been blocked at least (milliseconds). It is not watched any more. */
  onBlocked(ms: number): void;
}

/** Of each: since when it could have been found blocked, on the clock of `clock.ts`. */
const watchedSince = new Map<Subject, number>();
let timer: NodeJS.Timeout | undefined;
let interval = Number.POSITIVE_INFINITY;
let lookedAt = 0;

/** Watches `subject` until the function that is returned is called. */
export function watchLoop(subject: Subject): () => void {
  watchedSince.set(subject, now());
  const wanted = lookEvery(subject.hangMs);
  if (wanted < interval) schedule(wanted);
  return () => forget(subject);
}

/** Milliseconds. */
function lookEvery(hangMs: number): number {
  return Math.max(beatEvery(hangMs), Math.min(5000, hangMs / 6));
}

function schedule(ms: number): void {
  clearInterval(timer);
  interval = ms;
  lookedAt = now();
  timer = setInterval(look, ms);
  timer.unref();
}

function forget(subject: Subject): void {
  watchedSince.delete(subject);
  if (watchedSince.size > 0) return;
  clearInterval(timer);
  interval = Number.POSITIVE_INFINITY;
}

function look(): void {
  const time = now();
  const pause = time - lookedAt;
  lookedAt = time;
  for (const [subject, since] of watchedSince) {
    const { hangMs } = subject;
    // If we could not look either, the machine was asleep, or too busy to blame an event loop.
    const wasAway = pause > Math.max(hangMs / 2, 2 * interval);
    const dueBy = wasAway ? undefined : subject.dueBy();
    if (dueBy === undefined) {
      watchedSince.set(subject, time);
      continue;
    }
    const blockedMs = Math.min(time - since, dueBy === 0 ? Number.POSITIVE_INFINITY : msSince(dueBy));
    if (blockedMs < hangMs) continue;
    if (subject.isExcused?.()) watchedSince.set(subject, time);
    else {
      forget(subject);
      subject.onBlocked(blockedMs);
    }
  }
}
