// For how much of the time the app has had at least one request.
import { now } from '../clock.js';
import type { Stage } from './stage.js';

export class BusyClock {
  #count = 0;
  /** Milliseconds that were busy since the last look, but for those since `#since`. */
  #busyMs = 0;
  /** Since when it is busy, while it is. */
  #since = 0;
  #lookedAt = now();

  readonly stage: Stage = (next) => (req, res, reqId) => {
    if (this.#count++ === 0) this.#since = now();
    res.once('close', () => {
      if (--this.#count === 0) this.#busyMs += now() - this.#since;
    });
    return next(req, res, reqId);
  };

  /** Since it was last asked, from 0 to 1. */
  share(): number {
    const time = now();
    const busyMs = this.#busyMs + (this.#count > 0 ? time - this.#since : 0);
    const share = busyMs / Math.max(1, time - this.#lookedAt);
    this.#busyMs = 0;
    this.#since = time;
    this.#lookedAt = time;
    return Math.min(1, share);
  }
}
