// What clients have counted since it began. The counts are plain numbers, which another process may be sent.

export class Tally {
  constructor() {
    this.begin(0);
  }

  /** Counts anew. @returns what was counted. @param {number} inFlight requests that are sent and not answered */
  begin(inFlight) {
    const { counts } = this;
    this.since = performance.now();
    this.counts = { asked: inFlight, answered: 0, failed: 0, closedIdle: 0, announced: 0, longestMs: 0, reasons: {} };
    return counts;
  }

  asked() {
    this.counts.asked++;
  }

  /** @param {number} due when its client began to want it; what lies before the beginning is not counted */
  answered(due) {
    this.counts.answered++;
    this.#waited(due);
  }

  /** A request is lost. */
  failed(reason) {
    this.counts.failed++;
    this.counts.reasons[reason] = (this.counts.reasons[reason] ?? 0) + 1;
  }

  /** A client stops that has wanted an answer since `due`. */
  unanswered(due) {
    this.#waited(due);
  }

  closedIdle() {
    this.counts.closedIdle++;
  }

  /** An answer said that its connection ends. */
  announced() {
    this.counts.announced++;
  }

  #waited(due) {
    this.counts.longestMs = Math.max(this.counts.longestMs, performance.now() - Math.max(due, this.since));
  }
}
