// A client: sends requests until it is stopped. It never retries a request, and opens a new connection only after the
// server has closed the previous one.
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientConnection, type OutgoingRequest } from './client-connection.js';
import type { ClientType, Endpoint, OpenConnection, Workload } from './messages.js';
import type { Tally } from './tally.js';

export const slowBodyBytes = 2048;

/** Clients with one request per connection think longer: in some models each connection costs a process or a thread. */
const newConnectionThinkFactor = 10;

export class Client {
  readonly #type: ClientType;
  readonly #workload: Workload;
  readonly #tally: Tally;
  readonly #request: OutgoingRequest;
  readonly #expectedStatus: number;
  #connection: ClientConnection | undefined;
  #isStopped = false;
  /** The last request was lost together with its connection, so the connection is not counted as a reconnect. */
  #isLossCounted = false;

  constructor(type: ClientType, workload: Workload, tally: Tally) {
    this.#type = type;
    this.#workload = workload;
    this.#tally = tally;
    this.#request = requestOf(type, workload);
    this.#expectedStatus = type === 'slow body' && workload.upload ? workload.upload.status : workload.status;
  }

  /** Its open connection; empty if it has none. */
  get connections(): readonly OpenConnection[] {
    const port = this.#connection?.port;
    return port === undefined ? [] : [{ clientType: this.#type, port }];
  }

  /**
   * Settles after `stop()`, when no request is in flight.
   * @param onStarted called when the first request has been answered or lost
   */
  async run(onStarted: () => void): Promise<void> {
    const isKeptAlive = this.#type !== 'one request each';
    // A random delay, so that the clients do not send their requests at the same moment.
    await sleep(Math.random() * this.#workload.thinkMs);
    while (!this.#isStopped) {
      this.#connection ??= new ClientConnection(this.#workload.endpoint);
      await this.#sendRequest(this.#connection, isKeptAlive);
      onStarted();
      await sleep(this.#workload.thinkMs * (isKeptAlive ? 1 : newConnectionThinkFactor));
      const { closeReason } = this.#connection;
      if (closeReason === undefined) continue;
      if (isKeptAlive && !this.#isLossCounted) this.#tally.addReconnect(this.#type, closeReason);
      this.#connection = undefined;
    }
    this.#connection?.close();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #sendRequest(connection: ClientConnection, isKeptAlive: boolean): Promise<void> {
    const outcome = await connection.send(this.#request);
    this.#isLossCounted = 'lost' in outcome;
    if ('lost' in outcome) this.#tally.addLost(this.#type, outcome.lost, outcome.responseMs);
    else if (outcome.response.status !== this.#expectedStatus) {
      this.#addUnexpected(outcome.response.status, outcome.responseMs);
      // If the response also closed the connection, that is part of the same failure.
      this.#isLossCounted = connection.closeReason !== undefined;
    } else this.#tally.addAnswered(this.#type, outcome.responseMs);
    if (!isKeptAlive) connection.close();
  }

  #addUnexpected(status: number, responseMs: number): void {
    if (this.#workload.failureStatuses.includes(status))
      this.#tally.addFailed(this.#type, `status ${status}`, responseMs);
    else this.#tally.addLost(this.#type, `unexpected status ${status}`, responseMs);
  }
}

function requestOf(type: ClientType, { endpoint, path, upload, headMs, bodyMs }: Workload): OutgoingRequest {
  const get = getHead(endpoint, path);
  const requests: Readonly<Record<ClientType, OutgoingRequest>> = {
    'kept-alive': { text: `${get}\r\n` },
    'one request each': { text: `${get}connection: close\r\n\r\n` },
    'slow head': { text: '', slowText: `${get}\r\n`, slowMs: headMs },
    'slow body': {
      text: uploadHead(endpoint, upload?.path ?? path),
      slowText: 'x'.repeat(slowBodyBytes),
      slowMs: bodyMs,
    },
  };
  return requests[type];
}

/** Without the empty line at its end. */
export function getHead({ authority }: Endpoint, path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: ${authority}\r\nuser-agent: mpserve-prove\r\n`;
}

export function uploadHead({ authority }: Endpoint, path: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: ${authority}\r\nuser-agent: mpserve-prove\r\ncontent-type: text/plain\r\ncontent-length: ${slowBodyBytes}\r\n\r\n`;
}
