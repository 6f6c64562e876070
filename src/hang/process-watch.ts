// In the supervisor: watches the event loop of a worker process. If it is blocked, requests a hang report, for which it
// waits a second, and kills the worker.
import { isStopped } from '../os/process-tree.js';
import { watchLoop } from './detector.js';
import { type HeartbeatFile, monotonicMs, msSince } from './heartbeat.js';

/** A worker that has not reported by then is blocked in native code, or handles SIGUSR1 itself. */
const reportTimeoutMs = 1000;
const signalIntervalMs = 100;

export class ProcessWatch {
  readonly #pid: number;
  readonly #heartbeat: HeartbeatFile;
  readonly #hangMs: number;
  readonly #kill: () => void;
  #unwatch: (() => void) | undefined;
  #signals: NodeJS.Timeout | undefined;
  #blockedMs: number | undefined;

  constructor(pid: number, heartbeat: HeartbeatFile, hangMs: number, kill: () => void) {
    this.#pid = pid;
    this.#heartbeat = heartbeat;
    this.#hangMs = hangMs;
    this.#kill = kill;
  }

  /** Milliseconds that the event loop was blocked when this was found; undefined if it never was. */
  get blockedMs(): number | undefined {
    return this.#blockedMs;
  }

  begin(): void {
    this.#unwatch = watchLoop({
      hangMs: this.#hangMs,
      dueBy: () => this.#heartbeat.dueBy,
      isPaused: () => isStopped(this.#pid), // by an operator, or a debugger such as gdb
      onBlocked: (ms) => this.#requestReport(ms),
    });
  }

  /** Call it when the worker has exited. */
  end(): void {
    this.#unwatch?.();
    clearInterval(this.#signals);
  }

  #requestReport(ms: number): void {
    this.#blockedMs = Math.round(ms);
    this.#heartbeat.requestReport();
    this.#signal();
    const requestedAt = monotonicMs();
    this.#signals = setInterval(() => {
      if (msSince(requestedAt) < reportTimeoutMs) return this.#signal();
      this.end();
      this.#kill();
    }, signalIntervalMs);
  }

  #signal(): void {
    try {
      process.kill(this.#pid, 'SIGUSR1');
    } catch {} // the worker has exited, which its exit event reports
  }
}
