// Looks at a server again and again, and shows what it finds until the user quits.
import { now } from '../clock.js';
import { Unreachable } from '../control/client.js';
import { firstView, keysIn, press, type View } from './keys.js';
import { type Page, pageOf, type Seen } from './page.js';
import type { Screen } from './screen.js';
import { type Snapshot, takeSnapshot } from './snapshot.js';

export interface TopOptions {
  readonly socketPath: string;
  readonly intervalMs: number;
  readonly screen: Screen;
  /** The first look, so that a server that is not there is told before the screen is. */
  readonly first: Snapshot;
}

export class Top {
  readonly #options: TopOptions;
  #view: View = firstView;
  #current: Snapshot;
  #previous: Snapshot | undefined;
  #problem: string | undefined;
  #page: Page = { lines: [], pageRows: 0, maxOffset: 0 };
  #isLooking = false;
  #end: (error?: Error) => void = () => {};

  constructor(options: TopOptions) {
    this.#options = options;
    this.#current = options.first;
  }

  /** Settles when the user quits. */
  async run(): Promise<void> {
    const { screen, intervalMs } = this.#options;
    const ended = new Promise<void>((resolve, reject) => {
      this.#end = (error) => (error ? reject(error) : resolve());
    });
    screen.open({
      typed: (input) => this.#typed(input),
      resized: () => this.#draw(),
      closed: () => this.#end(),
    });
    const timer = setInterval(() => void this.#tick(), intervalMs);
    try {
      this.#draw();
      await ended;
    } finally {
      clearInterval(timer);
      screen.close();
    }
  }

  async #tick(): Promise<void> {
    if (!this.#view.isPaused && !this.#isLooking) await this.#look();
    this.#draw();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const found = await takeSnapshot(this.#options.socketPath, now);
      if (this.#view.isPaused) return;
      // Another server, as after a restart, counts from 0.
      this.#previous = found.status.pid === this.#current.status.pid ? this.#current : undefined;
      this.#current = found;
      this.#problem = undefined;
    } catch (error) {
      if (error instanceof Unreachable) this.#problem = error.message;
      else this.#end(error as Error);
    } finally {
      this.#isLooking = false;
    }
  }

  #typed(input: string): void {
    for (const key of keysIn(input)) {
      const view = press(this.#view, key, this.#page.pageRows, this.#page.maxOffset);
      if (view) this.#view = view;
      else this.#end();
    }
    this.#draw();
  }

  #draw(): void {
    const { screen, intervalMs } = this.#options;
    const time = now();
    const isLate = this.#isLooking && time - this.#current.at > intervalMs + lateMs;
    const seen: Seen = {
      current: this.#current,
      previous: this.#previous,
      problem: this.#problem ?? (isLate ? 'it takes long' : undefined),
      now: time,
    };
    try {
      this.#page = pageOf(seen, screen.size, this.#view);
      this.#view = { ...this.#view, offset: Math.min(this.#view.offset, this.#page.maxOffset) };
      screen.draw(this.#page.lines);
    } catch (error) {
      this.#end(error as Error);
    }
  }
}

/** A look that takes longer is told (milliseconds). */
const lateMs = 2000;
