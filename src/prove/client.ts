// A client that asks for as long as it is let, never sends a request a second time, and opens a new connection only
// when it has lost the one before.
import { setTimeout as pause } from 'node:timers/promises';
import { Line, type Request } from './client-connection.js';
import type { Connected, Habit, Job } from './messages.js';
import type { Tally } from './tally.js';

/** Bytes of a body that is sent slowly. */
export const slowBody = 2048;

/** Who needs a connection for each request costs a process or a thread each in some models, so it thinks longer. */
const unhurried = 10;

export class Client {
  readonly #habit: Habit;
  readonly #job: Job;
  readonly #tally: Tally;
  readonly #request: Request;
  readonly #status: number;
  #line: Line | undefined;
  #isOver = false;
  /** The last request was lost, and the connection with it. */
  #isLost = false;

  constructor(habit: Habit, job: Job, tally: Tally) {
    this.#habit = habit;
    this.#job = job;
    this.#tally = tally;
    this.#request = requestOf(habit, job);
    this.#status = habit === 'slow body' && job.upload ? job.upload.status : job.status;
  }

  /** Its connection, if it has one. */
  get connected(): readonly Connected[] {
    const port = this.#line?.port;
    return port === undefined ? [] : [{ habit: this.#habit, port, isAsking: this.#line?.isAsking === true }];
  }

  /**
   * Settles when it was told to stop, and what was under way has come to its end.
   * @param onBegun called when its first request has been answered, or is lost
   */
  async run(onBegun: () => void): Promise<void> {
    const isKept = this.#habit !== 'one request each';
    // So that they do not all ask at the same moment.
    await pause(Math.random() * this.#job.thinkMs);
    while (!this.#isOver) {
      this.#line ??= new Line(this.#job.host, this.#job.port);
      await this.#ask(this.#line, isKept);
      onBegun();
      await pause(this.#job.thinkMs * (isKept ? 1 : unhurried));
      if (!this.#line.isOver) continue;
      if (isKept && !this.#isLost) this.#tally.reconnected(this.#habit, this.#line.end);
      this.#line = undefined;
    }
    this.#line?.close();
  }

  stop(): void {
    this.#isOver = true;
  }

  async #ask(line: Line, isKept: boolean): Promise<void> {
    const outcome = await line.ask(this.#request);
    this.#isLost = 'lost' in outcome;
    if ('lost' in outcome) this.#tally.lost(this.#habit, outcome.lost, outcome.pauseMs);
    else if (outcome.answer.status !== this.#status) {
      this.#tally.lost(this.#habit, `answered with ${outcome.answer.status}`, outcome.pauseMs);
      // What it has announced with this belongs to the same fault.
      this.#isLost = line.isOver;
    } else this.#tally.answered(this.#habit, outcome.pauseMs);
    if (!isKept) line.close();
  }
}

function requestOf(habit: Habit, { path, upload, headMs, bodyMs }: Job): Request {
  const get = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: mpserve-prove\r\n`;
  switch (habit) {
    case 'kept-alive':
      return { atOnce: `${get}\r\n` };
    case 'one request each':
      return { atOnce: `${get}connection: close\r\n\r\n` };
    case 'slow head':
      return { atOnce: '', slowly: `${get}\r\n`, overMs: headMs };
    case 'slow body':
      return { atOnce: uploadHead(upload?.path ?? path), slowly: 'x'.repeat(slowBody), overMs: bodyMs };
  }
}

export function uploadHead(path: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: mpserve-prove\r\ncontent-type: text/plain\r\ncontent-length: ${slowBody}\r\n\r\n`;
}
