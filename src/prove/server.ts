// The server under test: mpserve, started with a configuration file of its own, observed through its log and controlled
// through its control socket. After an upgrade the server is another process, which is not a child of the prover.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { within } from '../clock.js';
import { act, ask } from '../control/client.js';
import type { Action, Outcome, Request, Status, WorkerStatus } from '../control/protocol.js';
import { ExitCode, StartupError } from '../errors.js';
import { createLeash } from '../os/leash.js';

/** The content of a configuration file. */
export type ConfigSettings = Readonly<Record<string, unknown>>;

export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));

/** The server is killed if it has not stopped after this time (milliseconds). */
const stopTimeoutMs = 3000;
/** For a reload, an upgrade and the like (milliseconds). */
const actionTimeoutMs = 120_000;
const eventTimeoutMs = 60_000;
const pollIntervalMs = 20;
const statusIntervalMs = 200;
/** The longest delay of a timer (milliseconds). */
const maxTimerMs = 2 ** 31 - 1;

/** pino's number of the log level. */
const warnLevel = 40;
const maxLoggedProblems = 20;
const maxStderrChars = 2000;

export class Server {
  readonly logLines: LogLine[] = [];
  /** A temporary directory that only its owner may enter. */
  readonly directory: string;
  readonly #settings: ConfigSettings;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  /** The child has exited, and its output has been read. */
  readonly #closed: Promise<void>;
  readonly #logListeners = new Set<() => void>();
  #hasExited = false;
  #stopping: Promise<void> | undefined;
  #stderrText = '';
  /** Of the serving process: the child, or its successor after an upgrade. */
  #pid: number;

  private constructor(settings: ConfigSettings, env: NodeJS.ProcessEnv) {
    this.directory = mkdtempSync(path.join(tmpdir(), 'mpserve-prove-'));
    this.#settings = settings;
    this.configure({});
    const leash = createLeash(); // kills the server if the prover dies
    this.#child = spawn(process.execPath, [bin, 'serve', '--config', this.#configFile], {
      stdio: ['ignore', 'pipe', 'pipe', leash?.fd ?? 'ignore'],
      detached: true, // Ctrl-C must reach the prover alone, which then stops the server
      env,
    });
    leash?.tie(this.#child.pid);
    this.#pid = this.#child.pid ?? 0;
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => {
        leash?.release();
        this.#hasExited = true;
        resolve();
      });
    });
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderrText = `${this.#stderrText}${text}`.slice(-maxStderrChars);
    });
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', (line) => this.#readLine(line));
  }

  /** Settles when the server is ready. @throws StartupError with the server's error message and exit code */
  static async start(settings: ConfigSettings, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Server> {
    signal.throwIfAborted();
    const server = new Server(settings, env);
    const stop = () => void server.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await server.waitForEvent('ready', 1, Number.POSITIVE_INFINITY);
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
    return path.join(this.directory, 'mpserve.config.json');
  }

  get controlSocket(): string {
    return path.join(this.directory, 'control');
  }

  get port(): number {
    return Number(new URL(String(this.#readyLine.url)).port);
  }

  /** Workers and threads in each: `2 × 1`. */
  get size(): string {
    const { workers, threads } = this.#readyLine;
    return `${workers} × ${threads}`;
  }

  get #hasStopped(): boolean {
    return this.#hasExited && !this.#hasSuccessor;
  }

  /** After an upgrade the serving process is not the child. */
  get #hasSuccessor(): boolean {
    return this.#pid !== this.#child.pid;
  }

  /** The messages of the last warnings and errors in the log. */
  get loggedProblems(): readonly string[] {
    const problems = this.logLines.filter(({ level }) => Number(level) >= warnLevel);
    return problems.slice(-maxLoggedProblems).map(({ msg }) => String(msg));
  }

  get #readyLine(): LogLine {
    return this.logLines.find(({ event }) => event === 'ready') as LogLine;
  }

  /** Rewrites the configuration file, with `changes`; the server reads it at its next reload. */
  configure(changes: ConfigSettings): void {
    const own = { bind: ['127.0.0.1:0'], control: this.controlSocket, logFormat: 'json', logLevel: 'info' };
    writeFileSync(this.#configFile, JSON.stringify({ ...this.#settings, ...own, ...changes }));
  }

  status(): Promise<Status> {
    return ask<Status>(this.controlSocket, 'status');
  }

  workers(): Promise<readonly WorkerStatus[]> {
    return ask<readonly WorkerStatus[]>(this.controlSocket, 'workers');
  }

  /** A timeout counts as a failed action. @throws Unreachable */
  async act(action: Action, request: Request = {}): Promise<Outcome> {
    let outcome: Outcome = { ok: false, error: `${action} not done within ${actionTimeoutMs / 1000} s` };
    let failure: unknown;
    const acting = act(this.controlSocket, action, request, () => {}).then(
      (result) => {
        outcome = result;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    await within(actionTimeoutMs, acting);
    if (failure) throw failure;
    return outcome;
  }

  /** Resolves to the `nth` log line with one of `events`. @throws Error on timeout, or if the server exits before */
  async waitForEvent(events: string | readonly string[], nth = 1, timeoutMs = eventTimeoutMs): Promise<LogLine> {
    const names = [events].flat();
    const find = () => this.logLines.filter(({ event }) => names.includes(event))[nth - 1];
    const deadline = performance.now() + timeoutMs;
    for (let line = find(); ; line = find()) {
      if (line) return line;
      if (this.#hasStopped) throw await this.#exitError();
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`the server did not log ${names.join(' or ')} within ${timeoutMs / 1000} s`);
      await this.#nextChange(leftMs);
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
    await waitForExit(oldPid, actionTimeoutMs);
    if (isAlive(oldPid)) throw new Error(`the old process (pid ${oldPid}) did not exit`);
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
    const asked = this.act('stop', { now: true }).catch(() => this.#child.kill('SIGTERM'));
    await within(stopTimeoutMs, asked);
    await waitForExit(this.#pid, stopTimeoutMs);
    if (!this.#hasExited)
      this.#child.kill('SIGKILL'); // the leash ends its workers
    else if (this.#hasSuccessor && isAlive(this.#pid)) process.kill(this.#pid, 'SIGKILL');
    await this.#exited;
    this.#child.stdout?.destroy(); // a successor may still hold the other end
    rmSync(this.directory, { recursive: true, force: true });
  }

  #readLine(text: string): void {
    const start = text.indexOf('{"level":'); // the app may have printed something before it on the same line
    if (start < 0) return;
    try {
      const line = JSON.parse(text.slice(start)) as LogLine;
      if (typeof line.event === 'string') this.logLines.push(line);
    } catch {
      return;
    }
    for (const listener of this.#logListeners) listener();
  }

  /** Settles at the next log line, when the server exits, or after `timeoutMs`. */
  async #nextChange(timeoutMs: number): Promise<void> {
    let listener = (): void => {};
    const logged = new Promise<void>((resolve) => {
      listener = resolve;
    });
    this.#logListeners.add(listener);
    const changed = this.#hasSuccessor ? logged : Promise.race([logged, this.#exited]);
    await within(Math.min(timeoutMs, maxTimerMs), changed);
    this.#logListeners.delete(listener);
  }

  async #exitError(): Promise<StartupError> {
    await within(stopTimeoutMs, this.#closed);
    const message = this.#stderrText
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^mpserve: /, '');
    const code = Object.values(ExitCode).find((one) => one === this.#child.exitCode) ?? ExitCode.boot;
    return new StartupError(code, message || `the server exited (${this.#child.signalCode ?? this.#child.exitCode})`);
  }
}

async function waitForExit(pid: number, timeoutMs: number): Promise<void> {
  for (let waited = 0; waited < timeoutMs && isAlive(pid); waited += pollIntervalMs) await sleep(pollIntervalMs);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
