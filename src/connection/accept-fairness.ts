// Leaves the other acceptors of a shared socket their part of a burst. The first one to wake up takes all connections that
// wait, before the others have woken, and with kept-alive connections one worker then has the work of all. So an acceptor
// sleeps after each connection that brings it above its recent maximum; one whose connections come and go is not delayed.
// docs/decisions/0009-fair-bursts.md has the figures.
import { now, sleepSync } from '../clock.js';

/** Milliseconds; as short as the system sleeps. */
const acceptDelayMs = 0.05;
/** How long the highest number of connections counts as recent (milliseconds). */
const recentMs = 100;

export class AcceptFairness {
  /** The highest recent number of open connections, and when it was reached. */
  #highWater = 0;
  #reachedAt = 0;

  /** Call after each accept. @param active open connections, with the new one */
  accepted(active: number): void {
    const time = now();
    if (time - this.#reachedAt > recentMs) this.#highWater = active - 1;
    if (active <= this.#highWater) return;
    this.#highWater = active;
    this.#reachedAt = time;
    sleepSync(acceptDelayMs);
  }
}
