// Runs background tasks (timers) only while there are connections, so that an idle event loop is seldom woken. It checks
// once a second: starting and stopping tasks with each connection would cost more than it saves.

/** Can be started again after it was stopped. */
export interface BackgroundTask {
  start(): void;
  stop(): void;
}

const checkIntervalMs = 1000;

export class Activity {
  readonly #tasks: BackgroundTask[] = [];
  #connections = 0;
  #timer: NodeJS.Timeout | undefined;

  add(task: BackgroundTask): void {
    this.#tasks.push(task);
    if (this.#timer) task.start();
  }

  connectionOpened(): void {
    this.#connections++;
    if (this.#timer) return;
    for (const task of this.#tasks) task.start();
    this.#timer = setInterval(() => this.#connections === 0 && this.stop(), checkIntervalMs);
    this.#timer.unref();
  }

  connectionClosed(): void {
    this.#connections--;
  }

  /** Stops all tasks until the next connection. */
  stop(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const task of this.#tasks) task.stop();
  }
}
