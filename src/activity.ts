// Work that needs the clock, and that an idle event loop need not be woken for: it runs while there is a connection, and
// ends soon after the last one. With each connection that comes and goes it would cost more than it saves.

/** Started and stopped any number of times, in turn. */
export interface Chore {
  start(): void;
  stop(): void;
}

/** How often it is looked whether there is still a connection (milliseconds). */
const lookEvery = 1000;

export class Activity {
  readonly #chores: Chore[] = [];
  #connections = 0;
  #timer: NodeJS.Timeout | undefined;

  add(chore: Chore): void {
    this.#chores.push(chore);
    if (this.#timer) chore.start();
  }

  /** A connection begins. */
  enter(): void {
    this.#connections++;
    if (this.#timer) return;
    for (const chore of this.#chores) chore.start();
    this.#timer = setInterval(() => this.#connections === 0 && this.end(), lookEvery);
    this.#timer.unref();
  }

  /** A connection has ended. */
  leave(): void {
    this.#connections--;
  }

  /** Stops all chores until the next connection begins. */
  end(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const chore of this.#chores) chore.stop();
  }
}
