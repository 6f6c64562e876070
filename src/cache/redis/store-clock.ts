// The clock of the Redis server, which is the same for all machines, so that theirs need not agree: what it shows now is between
// two bounds, as a question for the time takes a while.

/** Two clocks drift apart by at most this (milliseconds in a millisecond; NTP may slew one by 500 ppm). */
const maxDrift = 0.001;

export class StoreClock {
  /** What must be added to the monotonic clock of this machine, at least and at most. */
  #low = Number.NEGATIVE_INFINITY;
  #high = Number.POSITIVE_INFINITY;
  #at = 0;

  /**
   * @param sentAt and `receivedAt` on the monotonic clock of this machine. @param shown by the server in between (milliseconds
   * since 1970)
   */
  sample(sentAt: number, shown: number, receivedAt: number): void {
    const drift = (receivedAt - this.#at) * maxDrift;
    const low = Math.max(shown - receivedAt, this.#low - drift);
    const high = Math.min(shown - sentAt, this.#high + drift);
    // The clock was set, or it is that of another server.
    const isOther = low > high;
    this.#low = isOther ? shown - receivedAt : low;
    this.#high = isOther ? shown - sentAt : high;
    this.#at = receivedAt;
  }

  /** At most what it showed at a time of this machine is that time and this. */
  get lowShift(): number {
    return this.#low;
  }

  get highShift(): number {
    return this.#high;
  }
}
