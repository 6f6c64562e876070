// The server under test: mpserve, started with a configuration file of its own, observed through its log and controlled
// through its control socket. After an upgrade the server is another process, which is not a child of the prover.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../clock.js';
import { act, ask } from '../control/client.js';
import type { Action, Outcome, Request, Status, WorkerStatus } from '../control/protocol.js';
import { ExitCode, StartupError } from '../errors.js';
import { waitForExit } from '../os/process-exit.js';
import { processTree } from '../os/process-tree.js';
import { type LogLine, ServerProcess } from '../testbed/server-process.js';

/** The content of a configuration file. */
export type ConfigSettings = Readonly<Record<string, unknown>>;

/** The server is killed if it has not stopped after this time (milliseconds). */
const stopTimeoutMs = 3000;
/** For a reload, an upgrade and the like (milliseconds). */
const actionTimeoutMs = 120_000;
const eventTimeoutMs = 60_000;
const pollIntervalMs = 20;
const statusIntervalMs = 200;

/** pino's number of the log level. */
const warnLevel = 40;
const maxLoggedProblems = 20;

export class Server {
  readonly logLines: LogLine[] = [];
  port = 0;
  /** Workers and threads in each: `2 × 1`. */
  size = '';
  /** A temporary directory. The user of the workers may enter it, but not list it. */
  readonly #directory: string;
  readonly #settings: ConfigSettings;
  readonly #process: ServerProcess;
  #stopping: Promise<void> | undefined;
  /** Of the serving process: the child, or its successor after an upgrade. */
  #pid: number;

  private constructor(settings: ConfigSettings, env: NodeJS.ProcessEnv) {
    this.#directory = mkdtempSync(path.join(tmpdir(), 'mpserve-prove-'));
    chmodSync(this.#directory, 0o711);
    this.#settings = settings;
    this.configure({});
    const args = ['serve', '--config', this.#configFile];
    this.#process = new ServerProcess(args, (line) => this.logLines.push(line), env);
    this.#pid = this.#process.pid;
  }

  /** Settles when the server is ready. @throws StartupError with the server's error message and exit code */
  static async start(settings: ConfigSettings, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Server> {
    signal.throwIfAborted();
    const server = new Server(settings, env);
    const stop = () => void server.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const ready = await server.#process.ready;
      if (!ready) throw await server.#exitError();
      server.port = Number(new URL(ready.url).port);
      server.size = `${ready.workers} × ${ready.threads}`;
      return server;
    } catch (error) {
      await server.stop();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  get #configFile(): string {
    return path.join(this.#directory, 'mpserve.config.json');
  }

  get controlSocket(): string {
    return path.join(this.#directory, 'control');
  }

  /** After an upgrade the serving process is not the child. */
  get #hasSuccessor(): boolean {
    return this.#pid !== this.#process.pid;
  }

  /** The messages of the last warnings and errors in the log. */
  get loggedProblems(): readonly string[] {
    const problems = this.logLines.filter(({ level }) => Number(level) >= warnLevel);
    return problems.slice(-maxLoggedProblems).map(({ msg }) => String(msg));
  }

  /** Rewrites the configuration file, with `changes`; the server reads it at its next reload. */
  configure(changes: ConfigSettings): void {
    const own = { bind: ['127.0.0.1:0'], control: this.controlSocket, logFormat: 'json', logLevel: 'info' };
    writeFileSync(this.#configFile, JSON.stringify({ ...this.#settings, ...own, ...changes }), { mode: 0o600 });
  }

  /** Writes a release that the user of the workers may read. @returns its path */
  writeRelease(code: string): string {
    const file = path.join(this.#directory, 'release.cjs');
    writeFileSync(file, code);
    chmodSync(file, 0o644); // whatever the umask
    return file;
  }

  status(): Promise<Status> {
    return ask<Status>(this.controlSocket, 'status');
  }

  /** Its workers by the system, which does not wait for one that is blocked, as `workers` does; none without /proc. */
  get processes(): readonly number[] {
    return processTree(this.#pid).flatMap(({ pid }) => (pid === this.#pid ? [] : [pid]));
  }

  workers(): Promise<readonly WorkerStatus[]> {
    return ask<readonly WorkerStatus[]>(this.controlSocket, 'workers');
  }

  /** A timeout counts as a failed action. @throws Unreachable */
  async act(action: Action, request: Request = {}): Promise<Outcome> {
    const timeout: Outcome = { ok: false, error: `${action} not done within ${actionTimeoutMs / 1000} s` };
    const acting = act(this.controlSocket, action, request, () => {});
    return Promise.race([acting, sleep(actionTimeoutMs, timeout, { ref: false })]);
  }

  /** @param words what is done, for the error. @throws Error when the action fails */
  async perform(words: string, action: Action, request?: Request): Promise<void> {
    const outcome = await this.act(action, request);
    if (!outcome.ok) throw new Error(`${words} failed: ${outcome.error}`);
  }

  /** Resolves to the `nth` log line with one of `events`. @throws Error on timeout, or if the server exits before */
  async waitForEvent(events: string | readonly string[], nth = 1): Promise<LogLine> {
    const names = [events].flat();
    const deadline = performance.now() + eventTimeoutMs;
    for (;;) {
      const line = this.logLines.filter(({ event }) => names.includes(event))[nth - 1];
      if (line) return line;
      if (this.#process.hasExited && !this.#hasSuccessor) throw await this.#exitError();
      if (performance.now() > deadline) {
        throw new Error(`the server did not log ${names.join(' or ')} within ${eventTimeoutMs / 1000} s`);
      }
      await sleep(pollIntervalMs);
    }
  }

  /** Waits until no operation is running, all workers are ready and none drains. @throws Error on timeout */
  async untilSettled(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const { doing, workers: count } = await this.status();
      const stages = (await this.workers()).map(({ stage }) => stage);
      const draining = stages.filter((stage) => stage === 'draining').length;
      const isComplete = doing === undefined && count.ready >= count.wanted;
      if (isComplete && draining === 0) return;
      if (performance.now() > deadline) {
        const why = isComplete
          ? `${draining} worker(s) still draining`
          : `${count.ready} of ${count.wanted} workers ready`;
        throw new Error(`the server did not settle within ${timeoutMs / 1000} s: ${why}`);
      }
      await sleep(statusIntervalMs);
    }
  }

  /** After an upgrade: settles when the old process has exited. @throws Error if the same process still serves */
  async waitForSuccessor(): Promise<void> {
    const oldPid = this.#pid;
    const { pid } = await this.status();
    if (pid === oldPid) throw new Error(`the old process (pid ${pid}) still serves`);
    this.#pid = pid;
    if (!(await waitForExit(oldPid, actionTimeoutMs))) throw new Error(`the old process (pid ${oldPid}) did not exit`);
  }

  /** Ends the server with all its processes, and removes its directory. Takes a few seconds at most. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    // An upgrade may just have changed the serving process.
    this.#pid = await this.status().then(
      ({ pid }) => pid,
      () => this.#pid,
    );
    // The control socket is missing while the server starts or exits.
    const asked = this.act('stop', { now: true }).catch(() => this.#process.child.kill('SIGTERM'));
    await within(stopTimeoutMs, asked);
    const hasExited = await waitForExit(this.#pid, stopTimeoutMs);
    if (!this.#process.hasExited)
      this.#process.child.kill('SIGKILL'); // the leash ends its workers
    else if (this.#hasSuccessor && !hasExited) process.kill(this.#pid, 'SIGKILL');
    await this.#process.exited;
    this.#process.child.stdout?.destroy(); // a successor may still hold the other end
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #exitError(): Promise<StartupError> {
    await within(stopTimeoutMs, this.#process.closed);
    const { exitCode, signalCode } = this.#process.child;
    const code = Object.values(ExitCode).find((one) => one === exitCode) ?? ExitCode.boot;
    return new StartupError(code, this.#process.errorMessage || `the server exited (${signalCode ?? exitCode})`);
  }
}
