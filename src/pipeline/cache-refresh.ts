// Validates stale responses that have been used (stale-while-revalidate, RFC 5861), each with a request of the server's own:
// the client has its response by then.
import { type OutgoingHttpHeaders, request } from 'node:http';
import type { Socket } from 'node:net';
import type { Directives } from '../cache/directives.js';
import type { RequestFacts } from '../cache/request-facts.js';
import type { StoredResponse } from '../cache/stored-response.js';
import type { Client } from '../client/proxy-header.js';
import type { Exchange } from './asking.js';

/** At the same time. What is not refreshed now is when it is used next. */
const maxJobs = 16;

/** An app that does not answer blocks no later one (milliseconds). */
const maxMs = 60_000;

export interface RefreshJob {
  readonly facts: RequestFacts;
  readonly wishes: Directives;
  readonly stored: StoredResponse;
  /** Of its flight. */
  readonly key: string;
}

/** These concern the connection of the client, or are replaced. */
const left = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'expect',
  'if-none-match',
  'if-modified-since',
  'if-range',
  'range',
  'cache-control',
  'pragma',
]);

const noWishes: Directives = new Map();

export class Refresher {
  readonly #connect: (client: Client | undefined) => Socket;
  readonly #idHeader: string;
  readonly #jobs = new Map<string, RefreshJob>();
  readonly #prefix = `refresh-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}-`;
  #count = 0;

  /**
   * @param connect a connection of the server to itself, on which the app sees that client
   * @param idHeader that of the request id
   */
  constructor(connect: (client: Client | undefined) => Socket, idHeader: string) {
    this.#connect = connect;
    this.#idHeader = idHeader;
  }

  /** @param id of a request on a connection of the server itself */
  jobOf(id: string): RefreshJob | undefined {
    return this.#jobs.get(id);
  }

  refresh({ req, res, facts }: Exchange, stored: StoredResponse, key: string): void {
    if (stored.isBeingValidated || this.#jobs.size >= maxJobs) return;
    // A store may make another object of the same response.
    for (const job of this.#jobs.values()) if (job.key === key) return;
    stored.isBeingValidated = true;
    const id = this.#prefix + (++this.#count).toString(36);
    const whole = {
      ...facts,
      ifNoneMatch: undefined,
      ifModifiedSince: undefined,
      ifRange: undefined,
      range: undefined,
    };
    const plain = { ...whole, cacheControl: undefined, pragma: undefined };
    this.#jobs.set(id, { facts: plain, wishes: noWishes, stored, key });
    const { remoteAddress, remotePort } = req.socket;
    const client = remoteAddress === undefined ? undefined : { host: remoteAddress, port: remotePort ?? 0 };
    const sent = request({
      method: 'GET',
      path: res.reqUrl,
      headers: { ...headersOf(req.rawHeaders), [this.#idHeader]: id },
      setHost: false,
      createConnection: () => this.#connect(client),
    });
    const late = setTimeout(() => sent.destroy(), maxMs).unref();
    sent.on('response', (response) => response.resume());
    sent.on('error', () => {}); // the stale response stays until it may not be used
    sent.once('close', () => {
      clearTimeout(late);
      this.#jobs.delete(id);
      stored.isBeingValidated = false;
    });
    sent.end();
  }
}

function headersOf(rawHeaders: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string[]> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    if (left.has(name)) continue;
    if (headers[name]) headers[name].push(value);
    else headers[name] = [value];
  }
  const single = Object.entries(headers).map(([name, values]) => [name, values.length === 1 ? values[0] : values]);
  return { ...Object.fromEntries(single), connection: 'close' };
}
