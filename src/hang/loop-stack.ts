// In which code an event loop is, as `mpserve ctl stacks` prints it. Plain data.
import type { RequestInFlight } from '../reports/report.js';

/**
 * Why the stack of a blocked event loop is not known. `native`: it is in native code, which cannot be interrupted. `stopped`:
 * its process is (SIGSTOP). `debugged`: an inspector is on, which serves the operator. `signal`: the app handles SIGUSR1
 * itself. `silent`: the process that hosts it does not answer.
 */
export const unreadableReasons = ['native', 'stopped', 'debugged', 'signal', 'silent'] as const;
export type Unreadable = (typeof unreadableReasons)[number];

export interface LoopStack {
  /** Of the thread; 0 for the main thread of a process. */
  readonly tid: number;
  /** `idle`: it is between two callbacks. `blocked`: code has run for longer than `patienceMs`. */
  readonly state: 'idle' | 'blocked';
  /** The innermost frame first; none if it is idle, or unreadable. */
  readonly stack: readonly string[];
  readonly unreadable?: Unreadable;
  /** Requests in flight, of which `oldest` has some. If it is unreadable, those of its journal; 0 without one. */
  readonly inFlight: number;
  readonly oldest: readonly RequestInFlight[];
}

/** An event loop that has not answered by then is interrupted (milliseconds). */
export const patienceMs = 100;
/** Code that has not been interrupted by then is native (milliseconds). */
export const interruptMs = 1000;

/** At most this many requests in flight are told of each event loop, the oldest first. */
const maxRequests = 8;
/** At most this many event loops of a process are told of, the blocked ones first. */
export const maxLoops = 256;

export function loopStack(tid: number, stack: readonly string[], requests: readonly RequestInFlight[]): LoopStack {
  const oldest = [...requests].sort((a, b) => b.ageMs - a.ageMs).slice(0, maxRequests);
  return { tid, state: stack.length > 0 ? 'blocked' : 'idle', stack, inFlight: requests.length, oldest };
}

/** @param requests as its journal has them */
export function unreadable(tid: number, reason: Unreadable, requests: readonly RequestInFlight[]): LoopStack {
  return { ...loopStack(tid, [], requests), state: 'blocked', unreadable: reason };
}
