// The heartbeat of an event loop: each beat writes by when the next one is due, where the process that watches it can
// read that. An idle event loop beats less often than one with connections, so that it is seldom woken.
import { readSync, writeSync } from 'node:fs';
import type { BackgroundTask } from '../activity.js';
import { now } from '../clock.js';

/** A debugger blocks an event loop at breakpoints, which is no hang. The arguments are those of the process. */
export function isDebugged(execArgv: readonly string[], { NODE_OPTIONS = '' }: NodeJS.ProcessEnv): boolean {
  return [...execArgv, NODE_OPTIONS].some((text) => /(^|\s)--inspect/.test(text));
}

/** Milliseconds of a clock that all processes of the machine share, as 32 bits: it wraps around after 49 days. */
export function monotonicMs(): number {
  return now() | 0;
}

/** @param time of `monotonicMs`. @returns milliseconds; negative for a time in the future */
export function msSince(time: number): number {
  return (monotonicMs() - time) | 0;
}

const minBeatIntervalMs = 10;

/** Milliseconds between two beats of an event loop that has connections. */
export function beatIntervalMs(hangMs: number): number {
  return Math.max(minBeatIntervalMs, Math.min(1000, hangMs / 8));
}

export class Heartbeat implements BackgroundTask {
  readonly #write: (dueBy: number) => void;
  readonly #hangMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** Starts to beat at the idle interval. @param write gets the time by which the next beat is due (`monotonicMs`) */
  constructor(hangMs: number, write: (dueBy: number) => void) {
    this.#hangMs = hangMs;
    this.#write = write;
    this.stop();
  }

  /** The first connection: beats often. */
  start(): void {
    this.#beatEvery(beatIntervalMs(this.#hangMs));
  }

  /** No connections: beats at the idle interval. */
  stop(): void {
    this.#beatEvery(Math.max(minBeatIntervalMs, this.#hangMs / 2));
  }

  #beatEvery(ms: number): void {
    const beat = () => this.#write((monotonicMs() + Math.ceil(ms)) | 0 || 1); // 0 means none yet
    clearInterval(this.#timer);
    beat();
    this.#timer = setInterval(beat, ms);
    this.#timer.unref();
  }
}

/** The heartbeat of a process, in a file that it shares with the supervisor. */
export interface HeartbeatLocation {
  readonly fd: number;
  readonly position: number;
}

/** `debugged`: by an operator; `reportRequested`: the supervisor wants a hang report. */
const states = { watched: 0, debugged: 1, reportRequested: 2 } as const;

/** `question`: the number of the last question that needs the stack. `signal`: 1 if the app handles SIGUSR1 itself. */
const words = { dueBy: 0, state: 1, question: 2, signal: 3 } as const;

const wordBytes = 4;
export const heartbeatBytes = Object.keys(words).length * wordBytes;

/** That file, in the worker or in the supervisor. */
export class HeartbeatFile {
  readonly #location: HeartbeatLocation;
  readonly #word = Buffer.alloc(wordBytes);

  constructor(location: HeartbeatLocation) {
    this.#location = location;
  }

  /** When the next beat is due (`monotonicMs`); 0 before the first, undefined while a debugger may pause the process. */
  get dueBy(): number | undefined {
    return this.isDebugged ? undefined : this.#read(words.dueBy);
  }

  set dueBy(time: number) {
    this.#write(words.dueBy, time);
  }

  get isDebugged(): boolean {
    return this.#read(words.state) === states.debugged;
  }

  get isReportRequested(): boolean {
    return this.#read(words.state) === states.reportRequested;
  }

  requestReport(): void {
    this.#write(words.state, states.reportRequested);
  }

  /** 0 before the first one. */
  get question(): number {
    return this.#read(words.question);
  }

  set question(number: number) {
    this.#write(words.question, number);
  }

  /** The app handles SIGUSR1 itself, so Node does not. */
  get isSignalHandled(): boolean {
    return this.#read(words.signal) !== 0;
  }

  setSignalHandled(): void {
    this.#write(words.signal, 1);
  }

  /** From now on a debugger may pause the process. */
  setDebugged(): void {
    this.#write(words.state, states.debugged);
  }

  #read(index: number): number {
    readSync(this.#location.fd, this.#word, 0, wordBytes, this.#location.position + index * wordBytes);
    return this.#word.readInt32LE();
  }

  #write(index: number, value: number): void {
    this.#word.writeInt32LE(value);
    writeSync(this.#location.fd, this.#word, 0, wordBytes, this.#location.position + index * wordBytes);
  }
}
