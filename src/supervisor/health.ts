// Whether the server can serve, what has last gone wrong with the app, and whether the first workers live.
import { now } from '../clock.js';
import type { Status } from '../control/protocol.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Reports } from '../reports/reports.js';
import type { Health, Strategy } from '../strategies/strategy.js';

/** That a worker has ended says less than why one has: for so long it is no news (milliseconds). */
const reasonMs = 60_000;
/** The server gives up when each of its first workers and threads has died so often within the probation. */
const maxDeaths = 5;

export class HealthWatch {
  readonly #reports: Reports;
  #strategy: Strategy | undefined;
  /** Processes of which no thread can serve. */
  readonly #downHosts = new Set<number>();
  #downSince: number | undefined;
  #lastError: Status['lastError'];
  #reasonKnownAt = Number.NEGATIVE_INFINITY;

  constructor(reports: Reports) {
    this.#reports = reports;
    const failed = (message: string): void => {
      this.#lastError = { at: new Date().toISOString(), message };
      this.#reasonKnownAt = now();
    };
    const died = (message: string): void => {
      if (now() - this.#reasonKnownAt > reasonMs) this.#lastError = { at: new Date().toISOString(), message };
    };
    reports.subscribe({
      'app-crashed': ({ err }) => failed(err.message),
      hung: ({ stack: [top = 'native code'] }) => failed(`the event loop was blocked in ${top}`),
      'thread-unfit': ({ reason }) => failed(reason),
      'worker-unfit': ({ reason }) => failed(reason),
      'thread-lost': ({ reason }) => died(reason),
      'server-closed': () => died('the app closed its server'),
      'worker-died': ({ pid, reason }) => {
        died(reason);
        this.#downHosts.delete(pid);
      },
      'threads-down': ({ pid }) => {
        this.#downHosts.add(pid);
        this.changed();
      },
      'threads-up': ({ pid }) => {
        this.#downHosts.delete(pid);
        this.changed();
      },
    });
  }

  /** @param strategy that should serve from now on; undefined when none should any more */
  watch(strategy: Strategy | undefined): void {
    this.#strategy = strategy;
  }

  /** undefined when there is none, or it is older than the server. */
  get lastError(): Status['lastError'] {
    return this.#lastError;
  }

  get health(): Health {
    if (!this.#strategy) return 'serving';
    const { health } = this.#strategy;
    if (health === 'down' || this.#downHosts.size === 0) return health;
    const { workers } = this.#strategy.snapshot();
    for (const host of this.#downHosts) if (!workers.some(({ pid }) => pid === host)) this.#downHosts.delete(host);
    const ready = workers.filter(({ stage }) => stage === 'ready');
    const down = ready.filter(({ pid }) => this.#downHosts.has(pid)).length;
    return down === 0 ? health : down === ready.length ? 'down' : 'degraded';
  }

  /** Reports when no worker can serve any more, and when one can again. */
  readonly changed = (): void => {
    if (!this.#strategy) return;
    const isDown = this.health === 'down';
    if (isDown && this.#downSince === undefined) {
      this.#downSince = now();
      this.#reports.publish({ kind: 'down' });
    } else if (!isDown && this.#downSince !== undefined) {
      this.#reports.publish({ kind: 'up', ms: Math.round(now() - this.#downSince) });
      this.#downSince = undefined;
    }
  };

  /**
   * Settles when the server has been able to serve for `ms` milliseconds in which no worker or thread has died, but by a
   * request.
   * @param units workers and threads that serve
   * @param signal ends it
   * @throws StartupError when they die again and again instead
   */
  async untilSteady(ms: number, units: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let deaths = 0;
      let timer: NodeJS.Timeout | undefined;
      const wait = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => (this.health === 'down' ? wait() : end()), ms).unref();
      };
      /** Processes and threads that a request has ended: that says nothing about the start. */
      const ended = new Set<string>();
      const died = ({ pid = 0, tid = 0 }: { readonly pid?: number; readonly tid?: number }): void => {
        if (ended.delete(`${pid} ${tid}`)) return;
        wait();
        if (++deaths < maxDeaths * units) return;
        const message = `workers died ${deaths} times, never ${ms} ms apart (--probation) while one could serve: `;
        reject(new StartupError(ExitCode.crashLoop, `${message}${this.#lastError?.message}`));
        end();
      };
      const unsubscribe = this.#reports.subscribe({
        'request-ended': ({ pid, tid = 0, evidence }) => {
          if (evidence === 'stack') ended.add(`${pid} ${tid}`);
        },
        'worker-died': died,
        'worker-unfit': () => died({}),
        'thread-lost': died,
        'server-closed': died,
        'thread-unfit': died,
        up: wait,
      });
      const end = (): void => {
        clearTimeout(timer);
        unsubscribe();
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
      wait();
    });
  }
}
