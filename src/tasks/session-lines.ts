// Requests of sessions (--sticky) that wait for their thread, which has no room for them: a line for each thread.
import type { HandedRequest } from './handed-request.js';
import type { TaskThread } from './task-thread.js';

export class SessionLines {
  readonly #lines = new Map<TaskThread, HandedRequest[]>();

  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  /** Threads for which requests wait. */
  get threads(): readonly TaskThread[] {
    return [...this.#lines.keys()];
  }

  has(thread: TaskThread): boolean {
    return this.#lines.has(thread);
  }

  add(thread: TaskThread, request: HandedRequest): void {
    const line = this.#lines.get(thread);
    if (line) line.push(request);
    else this.#lines.set(thread, [request]);
  }

  first(thread: TaskThread): HandedRequest | undefined {
    return this.#lines.get(thread)?.[0];
  }

  remove(thread: TaskThread, request: HandedRequest): void {
    const line = this.#lines.get(thread);
    const at = line?.indexOf(request) ?? -1;
    if (at < 0) return;
    line?.splice(at, 1);
    if (line?.length === 0) this.#lines.delete(thread);
  }

  of(thread: TaskThread): readonly HandedRequest[] {
    return [...(this.#lines.get(thread) ?? [])];
  }

  /** Those that have waited since before this time (`clock.ts`). */
  since(before: number): readonly HandedRequest[] {
    return [...this.#lines.values()].flatMap((line) => line.filter((request) => request.since < before));
  }
}
