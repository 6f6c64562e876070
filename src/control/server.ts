// The server's side of the control socket: HTTP with JSON on a Unix socket that only its owner may use. It parses
// requests and writes responses (actions in `perform`); `Controls` does the work.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Pages } from '../admin/pages.js';
import { type Act, failure, perform, respond } from './perform.js';
import { actions, queries, type Settings, type Status, type Suspect, type WorkerStatus } from './protocol.js';

/** Each query of the protocol is a method of its name. */
export interface Controls {
  status(): Status;
  workers(): readonly WorkerStatus[];
  config(): Settings;
  quarantine(): readonly Suspect[];
  readonly act: Act;
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
    const name = request.url?.slice(1) ?? '';
    const query = queries.find((one) => one === name);
    const action = actions.find((one) => one === name);
    const pages = this.#pages();
    const page = Object.hasOwn(pages, `/${name}`) ? pages[`/${name}`] : undefined;
    if (!query && !action && page && request.method === 'GET') {
      const { status, type, content } = await page(request.headers.accept);
      response.writeHead(status, { 'content-type': type, connection: 'close' });
      return void response.end(content);
    }
    if (!query && !action) {
      const known = [...queries, ...actions].map((one) => `/${one}`).join(', ');
      return respond(response, 404, failure(`unknown path; the paths are ${known}`));
    }
    const method = action ? 'POST' : 'GET';
    if (request.method !== method) return respond(response, 405, failure(`/${name} requires ${method}`));
    try {
      if (query) return respond(response, 200, this.#controls[query]());
      if (action) await perform((...all) => this.#controls.act(...all), action, request, response);
    } catch (error) {
      if (!response.headersSent) respond(response, 500, failure((error as Error).message));
    }
  }
}
