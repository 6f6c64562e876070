// Watches the event loop of a worker process from the supervisor. One that is blocked is asked in which code, which it
// may be unable to say, and ended in any case.

import { isStopped } from '../os/process-tree.js';
import { watchLoop } from './detector.js';
import { type HeartbeatFile, monotonicMs, msSince } from './heartbeat.js';

/** A worker that has not reported by then is blocked in native code, or handles SIGUSR1 itself (milliseconds). */
const reportMs = 1000;
/** Between two signals (milliseconds). */
const askEvery = 100;

export class HangWatch {
  readonly #pid: number;
  readonly #heartbeat: HeartbeatFile;
  readonly #hangMs: number;
  readonly #kill: () => void;
  #forget: (() => void) | undefined;
  #asking: NodeJS.Timeout | undefined;
  #blockedMs: number | undefined;

  /** @param kill ends the worker */
  constructor(pid: number, heartbeat: HeartbeatFile, hangMs: number, kill: () => void) {
    this.#pid = pid;
    this.#heartbeat = heartbeat;
    this.#hangMs = hangMs;
    this.#kill = kill;
  }

  /** For how long it was blocked when it was found (milliseconds); undefined when it was not. */
  get blockedMs(): number | undefined {
    return this.#blockedMs;
  }

  begin(): void {
    this.#forget = watchLoop({
      hangMs: this.#hangMs,
      dueBy: () => this.#heartbeat.dueBy,
      isExcused: () => isStopped(this.#pid), // by an operator, or a debugger such as gdb
      onBlocked: (ms) => this.#ask(ms),
    });
  }

  /** When the worker has ended. */
  end(): void {
    this.#forget?.();
    clearInterval(this.#asking);
  }

  #ask(ms: number): void {
    this.#blockedMs = Math.round(ms);
    this.#heartbeat.ask();
    this.#signal();
    const askedAt = monotonicMs();
    this.#asking = setInterval(() => {
      if (msSince(askedAt) < reportMs) return this.#signal();
      this.end();
      this.#kill();
    }, askEvery);
  }

  #signal(): void {
    try {
      process.kill(this.#pid, 'SIGUSR1');
    } catch {} // it has ended, which is told elsewhere
  }
}
