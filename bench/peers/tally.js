// Counts the requests of all clients of a process since the last reset. The counts are plain data, to be sent over IPC.

export class Tally {
  constructor() {
    this.reset(0);
  }

  /** Resets the counts. @returns the counts before @param {number} inFlight requests in flight, which count as sent */
  reset(inFlight) {
    const { counts } = this;
    this.since = performance.now();
    this.counts = {
      sent: inFlight,
      completed: 0,
      failed: 0,
      closedIdle: 0,
      closesAnnounced: 0,
      longestMs: 0,
      reasons: {},
    };
    return counts;
  }

  sent() {
    this.counts.sent++;
  }

  /** A request has completed. @param {number} waitingSince since when its client has waited for a response */
  completed(waitingSince) {
    this.counts.completed++;
    this.#recordWait(waitingSince);
  }

  /** A request has failed. */
  failed(reason) {
    this.counts.failed++;
    this.counts.reasons[reason] = (this.counts.reasons[reason] ?? 0) + 1;
  }

  /** A client stops that has waited for a response since `waitingSince`. */
  gaveUp(waitingSince) {
    this.#recordWait(waitingSince);
  }

  /** The server has closed an idle connection. */
  closedIdle() {
    this.counts.closedIdle++;
  }

  /** A response has announced that the server will close its connection. */
  closeAnnounced() {
    this.counts.closesAnnounced++;
  }

  /** Time before the last reset does not count. */
  #recordWait(waitingSince) {
    const waitedMs = performance.now() - Math.max(waitingSince, this.since);
    this.counts.longestMs = Math.max(this.counts.longestMs, waitedMs);
  }
}
