// Counts answered, failed and lost requests of all clients. Its size does not grow with their number.
import type { ClientStats, ClientType, Counts, LossReason, ResponseTime } from './messages.js';

/** Client types that send a request without delay, so that its response time is the server's. */
const promptTypes: readonly ClientType[] = ['kept-alive', 'one request each'];
/** The first losses for a reason are kept with their times. */
const maxLossTimes = 10;

const noStats = () => ({
  answered: 0,
  failures: new LossCount(),
  losses: new LossCount(),
  reconnects: new LossCount(),
  longestResponseTimes: [] as ResponseTime[],
});

/** Losses by client type and reason. */
export class LossCount {
  readonly #reasons = new Map<string, LossReason>();

  add({ client, reason, count, atMs }: LossReason): void {
    const key = `${client} ${reason}`;
    const before = this.#reasons.get(key);
    this.#reasons.set(key, {
      client,
      reason,
      count: (before?.count ?? 0) + count,
      atMs:
        before && before.atMs.length >= maxLossTimes
          ? before.atMs
          : [...(before?.atMs ?? []), ...atMs].slice(0, maxLossTimes),
    });
  }

  get sum(): number {
    return [...this.#reasons.values()].reduce((sum, { count }) => sum + count, 0);
  }

  list(): readonly LossReason[] {
    return [...this.#reasons.values()];
  }
}

export class Tally {
  #startedAt = performance.now();
  #stats = noStats();
  #taken: Counts = { answered: 0, failed: 0, lost: 0, longestMs: 0 };

  addAnswered(clientType: ClientType, responseMs: number): void {
    this.#stats.answered++;
    this.#addResponseTime(clientType, responseMs);
  }

  addLost(client: ClientType, reason: string, responseMs: number): void {
    this.#addResponseTime(client, responseMs);
    this.#stats.losses.add(this.#loss(client, reason));
  }

  addFailed(client: ClientType, reason: string, responseMs: number): void {
    this.#addResponseTime(client, responseMs);
    this.#stats.failures.add(this.#loss(client, reason));
  }

  addReconnect(client: ClientType, reason: string): void {
    this.#stats.reconnects.add(this.#loss(client, reason));
  }

  /** All that was counted. */
  get counts(): Counts {
    const { answered, failures, losses, longestResponseTimes } = this.#stats;
    const { answered: before, failed, lost, longestMs } = this.#taken;
    return {
      answered: before + answered,
      failed: failed + failures.sum,
      lost: lost + losses.sum,
      longestMs: Math.max(longestMs, ...longestResponseTimes.map(({ ms }) => ms)),
    };
  }

  /** Returns what was counted since the last call. */
  take(): ClientStats {
    const { answered, failures, losses, reconnects, longestResponseTimes } = this.#stats;
    this.#taken = this.counts;
    this.#stats = noStats();
    this.#startedAt = performance.now();
    return {
      answered,
      failures: failures.list(),
      losses: losses.list(),
      reconnects: reconnects.list(),
      longestResponseTimes,
    };
  }

  #loss(client: ClientType, reason: string): LossReason {
    return { client, reason, count: 1, atMs: [this.#elapsedMs] };
  }

  #addResponseTime(clientType: ClientType, responseMs: number): void {
    const ms = Math.round(responseMs * 10) / 10;
    const longest = this.#stats.longestResponseTimes;
    const i = longest.findIndex((one) => one.clientType === clientType);
    if (!promptTypes.includes(clientType) || ms <= (longest[i]?.ms ?? -1)) return;
    longest[i < 0 ? longest.length : i] = { clientType, ms, atMs: this.#elapsedMs };
  }

  get #elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAt);
  }
}
