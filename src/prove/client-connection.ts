// One connection of a client: sends a request on it and reads the answer. It never sends anything twice, and never
// opens another connection.
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, AnswerReader, BadAnswer } from './response-reader.js';

/** What became of a request, and how long after its last byte that was clear (milliseconds). */
export type Outcome =
  | { readonly answer: Answer; readonly pauseMs: number }
  /** In words: `closed before an answer`. */
  | { readonly lost: string; readonly pauseMs: number };

/** How a request is sent: all of `atOnce`, and then `slowly` in the time of `overMs`. */
export interface Request {
  readonly atOnce: string;
  readonly slowly?: string;
  readonly overMs?: number;
}

/** A request without an answer for so long is lost (milliseconds). */
const patience = 30_000;
/** Between two pieces of what is sent slowly (milliseconds, at most). */
const pieceMs = 20;

export class Line {
  readonly #socket: Socket;
  #reader: AnswerReader | undefined;
  #settle: ((how: Answer | string) => void) | undefined;
  /** Why nothing more can be sent; undefined while it can. */
  #over: string | undefined;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on('data', (piece) => this.#read((reader) => reader.push(piece)));
    this.#socket.on('end', () => this.#read((reader) => reader.end()));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#finish(words(error, this.#reader?.hasBegun)));
    this.#socket.on('close', () => this.#finish('closed before an answer'));
  }

  /** It was closed, by whomever. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** How it ended, in words; empty while it has not. */
  get end(): string {
    return this.#over ?? '';
  }

  get isAsking(): boolean {
    return this.#settle !== undefined;
  }

  /** Our port; undefined before there is a connection and after it. */
  get port(): number | undefined {
    return this.isOver ? undefined : this.#socket.localPort;
  }

  /** Settles when the answer is whole and the request is sent, or when it is clear that there will be none. */
  async ask(request: Request): Promise<Outcome> {
    if (this.#over !== undefined) return { lost: this.#over, pauseMs: 0 };
    this.#reader = new AnswerReader();
    let isSettled = false;
    let settledAt = 0;
    const settled = new Promise<Answer | string>((resolve) => {
      this.#settle = (how) => {
        if (isSettled) return;
        isSettled = true;
        settledAt = performance.now();
        resolve(how);
      };
    });
    const late = setTimeout(() => this.#finish(`no answer within ${patience / 1000} s`), patience);
    // An early answer does not end the request: the next one could not be told from the rest of its body.
    await this.#send(request, () => isSettled && this.isOver);
    const sentAt = performance.now();
    const how = await settled;
    clearTimeout(late);
    this.#settle = undefined;
    this.#reader = undefined;
    const pauseMs = Math.max(0, settledAt - sentAt);
    if (typeof how === 'string') return { lost: how, pauseMs };
    if (how.closes) this.#finish('closed after an answer that announced it');
    return { answer: how, pauseMs };
  }

  close(): void {
    this.#over ??= 'closed by the client';
    this.#socket.destroy();
  }

  async #send({ atOnce, slowly = '', overMs = 0 }: Request, isInVain: () => boolean): Promise<void> {
    if (atOnce !== '') this.#socket.write(atOnce, 'latin1');
    const pieces = Math.min(slowly.length, Math.max(1, Math.ceil(overMs / pieceMs)));
    for (let i = 0; i < pieces && !isInVain(); i++) {
      await pause(overMs / pieces);
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * slowly.length) / pieces));
      if (!this.#socket.destroyed) this.#socket.write(slowly.slice(from, to), 'latin1');
    }
  }

  #read(read: (reader: AnswerReader) => Answer | undefined): void {
    try {
      if (!this.#reader || !this.isAsking) throw new BadAnswer('closed between two requests');
      const answer = read(this.#reader);
      if (answer) this.#settle?.(answer);
    } catch (error) {
      if (!(error instanceof BadAnswer)) throw error;
      this.#finish(error.message);
    }
  }

  /** Nothing more will come of it. */
  #finish(why: string): void {
    this.#over ??= why;
    this.#settle?.(why);
    this.#socket.destroy();
  }
}

function words({ code = 'an error', syscall }: NodeJS.ErrnoException, hasBegun = false): string {
  if (syscall === 'connect') return `cannot connect (${code})`;
  if (hasBegun) return `the answer was cut (${code})`;
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : `closed before an answer (${code})`;
}
