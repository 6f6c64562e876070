// The server's side of the control socket: HTTP with JSON on a Unix socket that only its owner may use. It parses
// requests and writes responses (actions in `perform`); `Controls` does the work.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { type Page, type Pages, splitTarget } from '../admin/pages.js';
import { failure, respond } from './answer.js';
import { formatted } from './formats.js';
import { type Act, perform } from './perform.js';
import {
  actions,
  type CacheStatus,
  dumps,
  queries,
  type Settings,
  type Status,
  type Suspect,
  type WorkerStacks,
  type WorkerStatus,
} from './protocol.js';
import { type OpenDump, takeDump } from './take-dump.js';

/** Each query of the protocol is a method of its name. */
export interface Controls {
  status(): Status;
  workers(): Promise<readonly WorkerStatus[]>;
  /** Settles within a few seconds, also where event loops are blocked. */
  stacks(): Promise<readonly WorkerStacks[]>;
  config(): Settings;
  quarantine(): readonly Suspect[];
  /** null without --cache. */
  cache(): CacheStatus | null;
  readonly act: Act;
  readonly dump: OpenDump;
}

/** For the head, and for the whole request. */
const requestTimeoutMs = 5000;
/** How long `close` waits for open connections (milliseconds). */
const closeTimeoutMs = 1000;

export class ControlServer {
  readonly #controls: Controls;
  readonly #pages: () => Pages;
  readonly #server: Server;

  /** Accepts connections on the listening socket `fd`, and takes over its ownership. */
  constructor(fd: number, controls: Controls, pages: () => Pages) {
    this.#controls = controls;
    this.#pages = pages;
    const timeouts = { headersTimeout: requestTimeoutMs, requestTimeout: requestTimeoutMs };
    this.#server = createServer(timeouts, (request, response) => {
      // The client may disconnect before it gets its response.
      response.on('error', () => {});
      void this.#handle(request, response);
    });
    this.#server.on('error', () => {}); // a failed accept affects only that client
    this.#server.listen({ fd });
  }

  /** Stops accepting, and settles when all requests in progress have their responses. */
  async close(): Promise<void> {
    // Not `http.Server.close`, which would also cut a connection whose client is about to send its request.
    const closed = new Promise((done) => NetServer.prototype.close.call(this.#server, done));
    // A client that sends no request, or does not read its response, must not delay the exit.
    const timer = setTimeout(() => this.#server.closeAllConnections(), closeTimeoutMs);
    await closed;
    clearTimeout(timer);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      if (!response.headersSent) respond(response, 500, failure((error as Error).message));
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path, queryString] = splitTarget(request.url);
    const name = path.slice(1);
    const query = queries.find((one) => one === name);
    const dump = dumps.find((one) => one === name);
    const action = actions.find((one) => one === name);
    const pages = this.#pages();
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (!query && !dump && !action && !page) {
      const names = [...queries, ...dumps, ...actions].map((one) => `/${one}`);
      const known = [...new Set([...names, ...Object.keys(pages)])].join(', ');
      return respond(response, 404, failure(`unknown path; the paths are ${known}`));
    }
    const method = dump || action ? 'POST' : 'GET';
    if (request.method !== method) return respond(response, 405, failure(`/${name} requires ${method}`));
    if (query) return send(response, await formatted(query, await this.#controls[query](), queryString));
    if (page) return send(response, await page(request.headers.accept, queryString));
    if (queryString !== '') return respond(response, 400, failure(`/${name} takes no query string`));
    if (dump) await takeDump((...all) => this.#controls.dump(...all), dump, request, response);
    if (action) await perform((...all) => this.#controls.act(...all), action, request, response);
  }
}

function send(response: ServerResponse, { status, type, content }: Page): void {
  response.writeHead(status, { 'content-type': type, connection: 'close' });
  response.end(content);
}
