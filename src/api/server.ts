// What `serve` resolves to, and its errors. Types and no code that needs to be loaded before the first server.
import type { UserConfig } from '../config/user-config.js';
import type { Status, Suspect, WorkerStatus } from '../control/protocol.js';

export type { Status, Suspect, WorkerStatus };

export interface ServeOptions {
  /** The environment of the server and the app; default: that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * `start`: the server did not become ready. `refused`: it did not begin the action, for example because another one is in
 * progress. `failed`: the action failed, and the server goes on as before. `unreachable`: the server has exited.
 */
export type FailureKind = 'start' | 'refused' | 'failed' | 'unreachable';

export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly kind: FailureKind;
  /** Of a server that did not start: docs/architecture.md lists them. */
  readonly exitCode: number | undefined;

  constructor(kind: FailureKind, message: string, exitCode?: number) {
    super(message);
    this.kind = kind;
    this.exitCode = exitCode;
  }
}

/** A running server. Actions resolve to a sentence for people, and reject with a `ServerError`. */
export interface Server {
  /** Of the supervisor. */
  readonly pid: number;
  /** The first of `urls`, as `http://127.0.0.1:8080` or `unix:/run/app.sock`. */
  readonly url: string;
  readonly urls: readonly string[];
  /** The control socket, also for `mpserve ctl --control`. */
  readonly control: string;
  /** Resolves to the exit code when the server has exited; null if a signal ended it. Never rejects. */
  readonly exited: Promise<number | null>;
  status(): Promise<Status>;
  workers(): Promise<readonly WorkerStatus[]>;
  /** The requests that were in flight when workers died. */
  quarantine(): Promise<readonly Suspect[]>;
  clearQuarantine(): Promise<string>;
  /** Loads the app and the configuration again. The settings that were passed to `serve` stay. */
  reload(): Promise<string>;
  /** @param workers the number of workers, or a change of it, as `'+1'` */
  scale(workers: number | `+${number}` | `-${number}`): Promise<string>;
  /** Switches to another model, or to other numbers of workers and threads. */
  switch(settings: UserConfig): Promise<string>;
  /** Stops all workers; new connections wait until `reload` or `scale`. */
  drain(): Promise<string>;
  /** Removes responses from the cache (`cache`), in all workers: those for a URL (`/path?query`), those with a tag, or all. */
  purge(what?: { readonly url: string } | { readonly tag: string }): Promise<string>;
  /** Opens the log files again, after they were renamed. */
  reopen(): Promise<string>;
  /**
   * Resolves when the server has exited. Waits for requests in flight, at most `gracefulTimeout`, unless `now` is set.
   * Does nothing if the server has exited.
   */
  stop(options?: { readonly now?: boolean }): Promise<void>;
}
