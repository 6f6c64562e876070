// Counts answered and lost requests of all clients.
import type { ClientStats, ClientType, Loss, ResponseTime } from './messages.js';

/** Client types that send a request without delay, so that its response time is the server's. */
const promptTypes: readonly ClientType[] = ['kept-alive', 'one request each'];

export class Tally {
  #startedAt = performance.now();
  #answered = 0;
  #losses: Loss[] = [];
  #reconnects: Loss[] = [];
  readonly #longest = new Map<ClientType, ResponseTime>();

  addAnswered(clientType: ClientType, responseMs: number): void {
    this.#answered++;
    this.#addResponseTime(clientType, responseMs);
  }

  addLost(clientType: ClientType, reason: string, responseMs: number): void {
    this.#addResponseTime(clientType, responseMs);
    this.#losses.push({ clientType, reason, atMs: this.#elapsedMs });
  }

  addReconnect(clientType: ClientType, reason: string): void {
    this.#reconnects.push({ clientType, reason, atMs: this.#elapsedMs });
  }

  /** Returns what was counted since the last call, and resets all counters. */
  take(): ClientStats {
    const stats = {
      answered: this.#answered,
      losses: this.#losses,
      reconnects: this.#reconnects,
      longestResponseTimes: [...this.#longest.values()],
    };
    this.#startedAt = performance.now();
    this.#answered = 0;
    this.#losses = [];
    this.#reconnects = [];
    this.#longest.clear();
    return stats;
  }

  #addResponseTime(clientType: ClientType, responseMs: number): void {
    const ms = Math.round(responseMs * 10) / 10;
    if (!promptTypes.includes(clientType) || ms <= (this.#longest.get(clientType)?.ms ?? -1)) return;
    this.#longest.set(clientType, { clientType, ms, atMs: this.#elapsedMs });
  }

  get #elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAt);
  }
}
