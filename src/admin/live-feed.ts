// `/live`: sends what is new to all who have the dashboard open, once a second, as server-sent events. Nothing is asked of the
// workers while no page is open.
import type { ServerResponse } from 'node:http';
import type { Status, WorkerStatus } from '../control/protocol.js';
import { beginning, type History, type Position } from './history.js';
import type { LiveUpdate, ModelChoice } from './live.js';

const maxClients = 32;
/** A client that has not read that much is disconnected (bytes). */
const maxUnreadBytes = 1_048_576;

export interface LiveSource {
  readonly history: History;
  readonly models: readonly ModelChoice[];
  status(): Status;
  workers(): readonly WorkerStatus[] | Promise<readonly WorkerStatus[]>;
}

interface Client {
  readonly response: ServerResponse;
  readonly mayAct: boolean;
}

export class LiveFeed {
  readonly #source: LiveSource;
  readonly #clients = new Set<Client>();
  /** Responses that are open, those that wait for their first message included. */
  readonly #open = new Set<ServerResponse>();
  /** What all clients have. */
  #sent = beginning;
  #workers: Promise<readonly WorkerStatus[]> | undefined;
  #isAsking = false;
  #isClosed = false;

  constructor(source: LiveSource) {
    this.#source = source;
  }

  get isFull(): boolean {
    return this.#open.size >= maxClients || this.#isClosed;
  }

  /** Sends all that there is, and from then on what is new. */
  async join(response: ServerResponse, mayAct: boolean): Promise<void> {
    const client = { response, mayAct };
    this.#open.add(response);
    response.once('close', () => {
      this.#open.delete(response);
      this.#clients.delete(client);
    });
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    const workers = await this.#ask();
    if (!this.#open.has(response) || this.#isClosed) return;
    if (this.#clients.size === 0) this.#sent = this.#source.history.end;
    this.#clients.add(client);
    send(client, JSON.stringify({ ...this.#update(workers, beginning, this.#sent), models: this.#source.models }));
  }

  /** Called once a second. */
  async tick(): Promise<void> {
    this.#workers = undefined;
    if (this.#open.size === 0 || this.#isClosed) return;
    if (this.#isAsking) return this.#beat();
    this.#isAsking = true;
    const workers = await this.#ask().finally(() => {
      this.#isAsking = false;
    });
    if (this.#isClosed) return;
    const { end } = this.#source.history;
    const text = JSON.stringify(this.#update(workers, this.#sent, end));
    this.#sent = end;
    for (const client of this.#clients) send(client, text);
  }

  /** Ends all streams: their clients connect again, to a successor if there is one. */
  close(): void {
    this.#isClosed = true;
    for (const response of this.#open) response.end();
  }

  /** Says that the server lives, while its workers have not answered. */
  #beat(): void {
    for (const { response } of this.#clients) response.write(':\n\n');
  }

  /** At most once between two ticks. */
  #ask(): Promise<readonly WorkerStatus[]> {
    this.#workers ??= Promise.resolve()
      .then(() => this.#source.workers())
      .catch(() => []);
    return this.#workers;
  }

  #update(workers: readonly WorkerStatus[], from: Position, to: Position): Omit<LiveUpdate, 'mayAct'> {
    return { at: Date.now(), status: this.#source.status(), workers, ...this.#source.history.slice(from, to) };
  }
}

/** @param json an object */
function send({ response, mayAct }: Client, json: string): void {
  if (response.writableLength > maxUnreadBytes) return void response.destroy();
  response.write(`data: {"mayAct":${mayAct},${json.slice(1)}\n\n`);
}
