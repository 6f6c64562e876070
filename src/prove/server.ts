// The server that is put to the proof: mpserve started as a user would, from a configuration file, heard through its log
// and told through its control socket. After an upgrade it is another process, which is none of our children.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { within } from '../clock.js';
import { act, ask } from '../control/client.js';
import type { Action, Outcome, Request, Status, WorkerStatus } from '../control/protocol.js';
import { ExitCode, StartupError } from '../errors.js';
import { createLeash } from '../os/leash.js';

/** As a configuration file has it. */
export type Settings = Readonly<Record<string, unknown>>;

/** A line of the log. */
export type Line = Readonly<Record<string, unknown>> & { readonly event: string };

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));

/** A server that was told to stop is killed so much later (milliseconds). */
const stopMs = 3000;
/** What an operator wants comes true in this time, or will not (milliseconds). */
const actMs = 120_000;
const lookEvery = 20;

/** The level of a line of the log (pino's). */
const warn = 40;
const mostComplaints = 20;

export class Server {
  /** What has been logged so far. */
  readonly lines: Line[] = [];
  /** A folder of its own that only its owner may enter. */
  readonly folder: string;
  readonly #settings: Settings;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  /** It has ended, and all that it has said has been heard. */
  readonly #closed: Promise<void>;
  readonly #hearers = new Set<() => void>();
  #hasEnded = false;
  #stopping: Promise<void> | undefined;
  #said = '';
  /** Of the process that serves. */
  #pid: number;

  private constructor(settings: Settings, env: NodeJS.ProcessEnv) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'mpserve-prove-'));
    this.#settings = settings;
    this.configure({});
    const leash = createLeash(); // if we are killed, it ends
    this.#child = spawn(process.execPath, [bin, 'serve', '--config', this.#file], {
      stdio: ['ignore', 'pipe', 'pipe', leash?.fd ?? 'ignore'],
      detached: true, // Ctrl-C is for us, who end it in order
      env,
    });
    leash?.tie(this.#child.pid);
    this.#pid = this.#child.pid ?? 0;
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        leash?.release();
        this.#hasEnded = true;
        resolve();
      });
    });
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-2000);
    });
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
  }

  /** Settles when it can serve. Rejects with its own words, and its exit code, when it cannot. */
  static async start(settings: Settings, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Server> {
    signal.throwIfAborted();
    const server = new Server(settings, env);
    const stop = () => void server.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await server.heard('ready', 1, Number.POSITIVE_INFINITY);
      return server;
    } catch (error) {
      await server.stop();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  get #file(): string {
    return path.join(this.folder, 'mpserve.config.json');
  }

  /** The control socket. */
  get control(): string {
    return path.join(this.folder, 'control');
  }

  get port(): number {
    return Number(new URL(String(this.#readyLine.url)).port);
  }

  /** Workers and threads in each: `2 × 1`. */
  get size(): string {
    const { workers, threads } = this.#readyLine;
    return `${workers} × ${threads}`;
  }

  get #isGone(): boolean {
    return this.#hasEnded && !this.#isSucceeded;
  }

  /** Another process serves now, which is none of our children. */
  get #isSucceeded(): boolean {
    return this.#pid !== this.#child.pid;
  }

  /** What it has logged as a warning or an error, in sentences; the last of it. */
  get complaints(): readonly string[] {
    const serious = this.lines.filter(({ level }) => Number(level) >= warn);
    return serious.slice(-mostComplaints).map(({ msg }) => String(msg));
  }

  get #readyLine(): Line {
    return this.lines.find(({ event }) => event === 'ready') as Line;
  }

  /** Writes its configuration file anew, with `changes`; it looks at it at its next reload. */
  configure(changes: Settings): void {
    const own = { bind: ['127.0.0.1:0'], control: this.control, logFormat: 'json', logLevel: 'info' };
    writeFileSync(this.#file, JSON.stringify({ ...this.#settings, ...own, ...changes }));
  }

  status(): Promise<Status> {
    return ask<Status>(this.control, 'status');
  }

  workers(): Promise<readonly WorkerStatus[]> {
    return ask<readonly WorkerStatus[]>(this.control, 'workers');
  }

  /** Does it, and says how it ended. */
  async act(action: Action, request: Request = {}): Promise<Outcome> {
    let outcome: Outcome = { ok: false, error: `the ${action} has not come true within ${actMs / 1000} s` };
    let failure: unknown;
    const acting = act(this.control, action, request, () => {}).then(
      (how) => {
        outcome = how;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    await within(actMs, acting);
    if (failure) throw failure;
    return outcome;
  }

  /** The `nth` line of one of `events`. @throws Error when it has not come `ms` later, or the server has ended */
  async heard(events: string | readonly string[], nth = 1, ms = 60_000): Promise<Line> {
    const names = [events].flat();
    const look = () => this.lines.filter(({ event }) => names.includes(event))[nth - 1];
    const late = performance.now() + ms;
    for (let line = look(); ; line = look()) {
      if (line) return line;
      if (this.#isGone) throw await this.#failure();
      const left = late - performance.now();
      if (left <= 0) throw new Error(`the server has not logged ${names.join(' or ')} within ${ms / 1000} s`);
      await this.#stirs(left);
    }
  }

  /** It serves with as many workers as it should, and none of an earlier generation is left. @throws Error */
  async settled(ms: number): Promise<void> {
    const late = performance.now() + ms;
    for (;;) {
      const { doing, workers: number } = await this.status();
      const stages = (await this.workers()).map(({ stage }) => stage);
      const draining = stages.filter((stage) => stage === 'draining').length;
      const isWhole = doing === undefined && number.ready >= number.wanted;
      if (isWhole && draining === 0) return;
      if (performance.now() > late) {
        const why = isWhole
          ? `${draining} of its workers still drain`
          : `${number.ready} of ${number.wanted} are ready`;
        throw new Error(`the server has not come to rest within ${ms / 1000} s: ${why}`);
      }
      await pause(10 * lookEvery);
    }
  }

  /** Another process serves now. Settles when the one before it has ended. @throws Error */
  async succeeded(): Promise<void> {
    const before = this.#pid;
    const { pid } = await this.status();
    if (pid === before) throw new Error(`the process is the same as before (pid ${pid})`);
    this.#pid = pid;
    await isGone(before, actMs);
    if (isAlive(before)) throw new Error(`the process before it (pid ${before}) has not ended`);
  }

  /** Ends it and all its processes, and removes what it has left. Always settles soon. */
  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  async #stop(): Promise<void> {
    // It may have been in the midst of an upgrade.
    this.#pid = await this.status().then(
      ({ pid }) => pid,
      () => this.#pid,
    );
    const told = this.act('stop', { now: true }).catch(() => this.#child.kill('SIGTERM')); // it is about to start, or ends
    await within(stopMs, told);
    await isGone(this.#pid, stopMs);
    if (!this.#hasEnded)
      this.#child.kill('SIGKILL'); // its workers are on a leash and end with it
    else if (this.#isSucceeded && isAlive(this.#pid)) process.kill(this.#pid, 'SIGKILL');
    await this.#ended;
    this.#child.stdout?.destroy(); // its successor has it, too
    rmSync(this.folder, { recursive: true, force: true });
  }

  #hear(text: string): void {
    const begin = text.indexOf('{"level":'); // the app may print what it likes, also before it on the same line
    if (begin < 0) return;
    try {
      const line = JSON.parse(text.slice(begin)) as Line;
      if (typeof line.event === 'string') this.lines.push(line);
    } catch {
      return;
    }
    for (const hearer of this.#hearers) hearer();
  }

  /** Settles when there is a new line, the server has ended, or after `ms` milliseconds. */
  async #stirs(ms: number): Promise<void> {
    let hearer = (): void => {};
    const heard = new Promise<void>((resolve) => {
      hearer = resolve;
    });
    this.#hearers.add(hearer);
    await within(Math.min(ms, 2 ** 31 - 1), this.#isSucceeded ? heard : Promise.race([heard, this.#ended]));
    this.#hearers.delete(hearer);
  }

  async #failure(): Promise<StartupError> {
    await within(stopMs, this.#closed);
    const said = this.#said
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^mpserve: /, '');
    const code = Object.values(ExitCode).find((one) => one === this.#child.exitCode) ?? ExitCode.boot;
    return new StartupError(code, said || `the server has ended (${this.#child.signalCode ?? this.#child.exitCode})`);
  }
}

async function isGone(pid: number, ms: number): Promise<void> {
  for (let waited = 0; waited < ms && isAlive(pid); waited += lookEvery) await pause(lookEvery);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
