// The sign of life of an event loop: it writes down by when it will be back, where the process that watches it can read
// that. An idle event loop promises to be back later than one with connections, so that it is seldom woken.
import { readSync, writeSync } from 'node:fs';
import type { Chore } from '../activity.js';
import { now } from '../clock.js';

/** At the breakpoints of a debugger an event loop is blocked on purpose. @param execArgv of its process */
export function isDebugged(execArgv: readonly string[]): boolean {
  return [...execArgv, process.env.NODE_OPTIONS ?? ''].some((text) => /(^|\s)--inspect/.test(text));
}

/** Milliseconds of a clock that all processes of the machine share; it wraps around after 49 days. */
export function monotonicMs(): number {
  return now() | 0;
}

/** Milliseconds since `time`, a time of `monotonicMs`; negative when it is to come. */
export function msSince(time: number): number {
  return (monotonicMs() - time) | 0;
}

/** How often an event loop gives a sign of life while it has connections (milliseconds). */
export function beatEvery(hangMs: number): number {
  return Math.max(10, Math.min(1000, hangMs / 8));
}

/** The same while it has none. */
function restingBeatEvery(hangMs: number): number {
  return Math.max(10, hangMs / 2);
}

export class Heartbeat implements Chore {
  readonly #write: (dueBy: number) => void;
  readonly #hangMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** Beats slowly from now on. @param write is told by when the event loop will have turned again (`monotonicMs`) */
  constructor(hangMs: number, write: (dueBy: number) => void) {
    this.#hangMs = hangMs;
    this.#write = write;
    this.stop();
  }

  /** Beats fast from now on. */
  start(): void {
    this.#beatEvery(beatEvery(this.#hangMs));
  }

  /** Beats slowly from now on. */
  stop(): void {
    this.#beatEvery(restingBeatEvery(this.#hangMs));
  }

  #beatEvery(ms: number): void {
    const beat = () => this.#write((monotonicMs() + Math.ceil(ms)) | 0 || 1); // 0 stands for no beat
    clearInterval(this.#timer);
    beat();
    this.#timer = setInterval(beat, ms);
    this.#timer.unref();
  }
}

/** Where the heartbeat of a process is: in a file that it shares with the supervisor. */
export interface HeartbeatPlace {
  readonly fd: number;
  readonly position: number;
}

/** `debugged`: by an operator; `asked`: the supervisor wants a hang report. */
const states = { watched: 0, debugged: 1, asked: 2 } as const;

const wordBytes = 4;
export const heartbeatBytes = 2 * wordBytes;

/** One end of the file, in the worker or in the supervisor. */
export class HeartbeatFile {
  readonly #place: HeartbeatPlace;
  readonly #word = Buffer.alloc(wordBytes);

  constructor(place: HeartbeatPlace) {
    this.#place = place;
  }

  /** By when it will have turned again; 0 before the first beat, undefined while a debugger may hold it. */
  get dueBy(): number | undefined {
    return this.#read(1) === states.debugged ? undefined : this.#read(0);
  }

  set dueBy(time: number) {
    this.#write(0, time);
  }

  get isAsked(): boolean {
    return this.#read(1) === states.asked;
  }

  ask(): void {
    this.#write(1, states.asked);
  }

  /** From now on it may stand at a breakpoint. */
  setDebugged(): void {
    this.#write(1, states.debugged);
  }

  #read(index: number): number {
    readSync(this.#place.fd, this.#word, 0, wordBytes, this.#place.position + index * wordBytes);
    return this.#word.readInt32LE();
  }

  #write(index: number, value: number): void {
    this.#word.writeInt32LE(value);
    writeSync(this.#place.fd, this.#word, 0, wordBytes, this.#place.position + index * wordBytes);
  }
}
