// For how much of the time the app has had at least one request.
import { now } from '../clock.js';
import type { OnClose, Stage } from './stage.js';

export class BusyClock {
  #count = 0;
  /** Milliseconds that were busy since the last look, but for those since `#since`. */
  #busyMs = 0;
  /** Since when it is busy, while it is. */
  #since = 0;
  #lookedAt = now();

  readonly stage: Stage = (next) => (req, res, reqId) => {
    if (this.#count++ === 0) this.#since = res.begunAt;
    return next(req, res, reqId);
  };

  readonly onClose: OnClose = () => {
    if (--this.#count === 0) this.#busyMs += now() - this.#since;
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
