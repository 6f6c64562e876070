// Counts answered, failed and lost requests of all clients.
import type { ClientStats, ClientType, Loss, ResponseTime } from './messages.js';

/** Client types that send a request without delay, so that its response time is the server's. */
const promptTypes: readonly ClientType[] = ['kept-alive', 'one request each'];

const noStats = () => ({
  answered: 0,
  failures: [] as Loss[],
  losses: [] as Loss[],
  reconnects: [] as Loss[],
  longestResponseTimes: [] as ResponseTime[],
});

export class Tally {
  #startedAt = performance.now();
  #stats = noStats();

  addAnswered(clientType: ClientType, responseMs: number): void {
    this.#stats.answered++;
    this.#addResponseTime(clientType, responseMs);
  }

  addLost(clientType: ClientType, reason: string, responseMs: number): void {
    this.#addResponseTime(clientType, responseMs);
    this.#stats.losses.push({ clientType, reason, atMs: this.#elapsedMs });
  }

  addFailed(clientType: ClientType, reason: string, responseMs: number): void {
    this.#addResponseTime(clientType, responseMs);
    this.#stats.failures.push({ clientType, reason, atMs: this.#elapsedMs });
  }

  addReconnect(clientType: ClientType, reason: string): void {
    this.#stats.reconnects.push({ clientType, reason, atMs: this.#elapsedMs });
  }

  /** Returns what was counted since the last call. */
  take(): ClientStats {
    const stats = this.#stats;
    this.#stats = noStats();
    this.#startedAt = performance.now();
    return stats;
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
