// Connections that wait until a worker is ready, or has room, in their order. Only the first one tries, and those behind it
// try when it has been placed.

/** Between two tries while nothing says that a worker has room (milliseconds). */
const retryMs = 1;

export class WaitingLine {
  readonly #turns: (() => void)[] = [];
  #retrying: NodeJS.Timeout | undefined;

  get isEmpty(): boolean {
    return this.#turns.length === 0;
  }

  /** At the end of the line. Settles when it is its turn. */
  join(): Promise<void> {
    return new Promise((turn) => this.#turns.push(turn));
  }

  /** As the first one again, after it has tried. Settles when it is its turn. */
  rejoin(): Promise<void> {
    return new Promise((turn) => this.#turns.unshift(turn));
  }

  /** It is the turn of the first one, if one waits. */
  next(): void {
    this.#turns.shift()?.();
  }

  nextSoon(): void {
    this.#retrying ??= setTimeout(() => {
      this.#retrying = undefined;
      this.next();
    }, retryMs);
  }

  /** It is the turn of all: no worker will be ready any more. */
  end(): void {
    for (const turn of this.#turns.splice(0)) turn();
  }
}
