// Clients that ask again and again for as long as they are let, and count what becomes of it.
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connectOptions, type Response, Wire } from './wire.js';

export interface Count {
  readonly answered: number;
  /** Why requests got no answer, or one of failure, in words. */
  readonly failures: readonly string[];
  /** How often a kept-alive connection was closed before any byte of the answer, so that the request went elsewhere. */
  readonly reconnects: number;
  readonly bodies: ReadonlySet<string>;
  /** The longest that a client has waited for a complete response (milliseconds). */
  readonly slowestMs: number;
}

/**
 * `one-each`: a connection for each request. `kept-alive`: one connection for as long as it lives; a request is sent
 * once more only where the connection has closed before any byte of an answer, which is what HTTP lets clients do
 * (RFC 9112, section 9.3.1).
 */
export type Habit = 'one-each' | 'kept-alive';

/**
 * Some requests follow the answer at once, others come after a moment in which the connection idles: what a server must
 * cope with is both, and clients that never pause would take the processor from it (milliseconds, at most). Where the
 * answer takes long, because a process starts for it, twice that time.
 */
const longestPause = 20;

export class Clients {
  private readonly failures: string[] = [];
  private readonly bodies = new Set<string>();
  private readonly running: Promise<unknown>;
  private answered = 0;
  private reconnects = 0;
  private slowestMs = 0;
  private isOver = false;

  constructor(
    private readonly url: string,
    count: number,
    habit: Habit,
    private readonly target = '/',
    private readonly good: readonly number[] = [200],
    /** With it, requests are POST requests with this body. */
    private readonly body?: string,
  ) {
    const run = habit === 'one-each' ? () => this.oneEach() : () => this.keptAlive();
    this.running = Promise.all(Array.from({ length: count }, run));
  }

  /** Requests that have been answered so far. */
  get done(): number {
    return this.answered;
  }

  /** What they have been answered with. */
  get heard(): ReadonlySet<string> {
    return this.bodies;
  }

  async stop(): Promise<Count> {
    this.isOver = true;
    await this.running;
    const { answered, failures, reconnects, bodies, slowestMs } = this;
    return { answered, failures, reconnects, bodies, slowestMs };
  }

  private async oneEach(): Promise<void> {
    while (!this.isOver) {
      using wire = this.open();
      const began = performance.now();
      try {
        await this.ask(wire, { connection: 'close' });
      } catch (error) {
        this.failures.push((error as Error).message);
      }
      wire.close();
      await this.think(2 * (performance.now() - began));
    }
  }

  private async keptAlive(): Promise<void> {
    let wire = this.open();
    let isFresh = true;
    while (!this.isOver) {
      const before = wire.socket.bytesRead;
      try {
        const answer = await this.ask(wire);
        isFresh = answer.headers.connection === 'close';
        if (isFresh) wire = this.reopen(wire); // it was announced
        await this.think();
      } catch (error) {
        if (isFresh || wire.socket.bytesRead > before) this.failures.push((error as Error).message);
        else this.reconnects++;
        wire = this.reopen(wire);
        isFresh = true;
      }
    }
    wire.close();
  }

  private async think(ms = 0): Promise<void> {
    if (!this.isOver && Math.random() < 0.7) await pause(Math.random() * Math.max(ms, longestPause));
  }

  private open(): Wire {
    return new Wire(net.connect(connectOptions(this.url)));
  }

  private reopen(wire: Wire): Wire {
    wire.close();
    return this.open();
  }

  private async ask(wire: Wire, headers?: Readonly<Record<string, string>>): Promise<Response> {
    const began = performance.now();
    const answer = await wire.ask(`${this.body === undefined ? 'GET' : 'POST'} ${this.target}`, headers, this.body);
    this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
    if (this.good.includes(answer.status)) this.answered++;
    else this.failures.push(`answered with ${answer.status}`);
    this.bodies.add(answer.body);
    return answer;
  }
}
