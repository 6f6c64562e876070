// The server's side of the control socket: HTTP with JSON on a Unix socket that only its owner may use. It parses
// requests and writes responses; `Controls` does the work.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { type Page, type Pages, splitTarget } from '../admin/pages.js';
import { formatted } from './formats.js';
import {
  type Action,
  actions,
  type Dump,
  type DumpKind,
  type DumpRequest,
  dumps,
  type Outcome,
  queries,
  type Request,
  type Settings,
  type Status,
  type Suspect,
  streamType,
  type WorkerStacks,
  type WorkerStatus,
} from './protocol.js';
import { Refused } from './refused.js';

/** Each query of the protocol is a method of its name. */
export interface Controls {
  status(): Status;
  workers(): Promise<readonly WorkerStatus[]>;
  /** Settles within a few seconds, also where event loops are blocked. */
  stacks(): Promise<readonly WorkerStacks[]>;
  config(): Settings;
  quarantine(): readonly Suspect[];
  /** @returns the result as a sentence. @throws Refused if the action was not started, Error if it failed */
  act(action: Action, request: Request, onProgress: (message: string) => void): Promise<string>;
  /**
   * Settles when there is something to read. @param signal the client has gone
   * @throws Refused if it was not begun, Error if it failed
   */
  dump(kind: DumpKind, request: DumpRequest, signal: AbortSignal): Promise<Dump>;
}

const maxBodyBytes = 4096;
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
    const [path, queryString] = splitTarget(request.url);
    const name = path.slice(1);
    const query = queries.find((one) => one === name);
    const action = actions.find((one) => one === name);
    const pages = this.#pages();
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    const dump = dumps.find((one) => one === name);
    if (!query && !action && !dump && page && request.method === 'GET') {
      return send(response, await page(request.headers.accept, queryString));
    }
    if (!query && !action && !dump) {
      const known = [...queries, ...dumps, ...actions].map((one) => `/${one}`).join(', ');
      return respond(response, 404, failure(`unknown path; the paths are ${known}`));
    }
    const method = query ? 'GET' : 'POST';
    if (request.method !== method) return respond(response, 405, failure(`/${name} requires ${method}`));
    try {
      if (query) return send(response, await formatted(query, await this.#controls[query](), queryString));
      if (queryString !== '') return respond(response, 400, failure(`/${name} takes no query string`));
      if (dump) return await this.#dump(dump, readDumpRequest(await readObject(request)), response);
      if (action) await this.#act(action, readRequest(await readObject(request)), request, response);
    } catch (error) {
      if (!response.headersSent) respond(response, query ? 500 : 400, failure((error as Error).message));
    }
  }

  async #dump(kind: DumpKind, request: DumpRequest, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      await sendDump(await this.#controls.dump(kind, request, gone.signal), response);
    } catch (error) {
      const isRefused = error instanceof Refused;
      const outcome = { ...failure((error as Error).message), ...(isRefused && { refused: true }) };
      respond(response, isRefused ? 409 : 500, outcome);
    }
  }

  async #act(action: Action, body: Request, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isStream = request.headers.accept === streamType;
    if (isStream) response.writeHead(200, { 'content-type': streamType, connection: 'close' });
    const writeLine = (line: unknown): void => void response.write(`${JSON.stringify(line)}\n`);
    const outcome = await this.#controls
      .act(action, body, (progress) => isStream && writeLine({ progress }))
      .then((message): Outcome => ({ ok: true, message }))
      .catch(
        (error: Error): Outcome => ({ ...failure(error.message), ...(error instanceof Refused && { refused: true }) }),
      );
    if (isStream) {
      writeLine(outcome);
      response.end();
    } else respond(response, outcome.ok ? 200 : outcome.refused ? 409 : 500, outcome);
  }
}

/** Of a dump that fails when a part of it has been sent, the connection is cut. */
async function sendDump({ content, over }: Dump, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
  await pipeline(content, response, { signal: over }).catch(() => response.destroy());
}

function failure(error: string): Outcome {
  return { ok: false, error };
}

function send(response: ServerResponse, { status, type, content }: Page): void {
  response.writeHead(status, { 'content-type': type, connection: 'close' });
  response.end(content);
}

function respond(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(content)}\n`);
}

/** @throws Error with a one-line reason if the body is invalid */
async function readObject(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  let text = '';
  // Read all of it: to stop early would destroy the connection before the response is sent.
  for await (const chunk of request.setEncoding('utf8')) if (text.length <= maxBodyBytes) text += chunk;
  if (text.length > maxBodyBytes) throw new Error(`the body is longer than ${maxBodyBytes} bytes`);
  if (text.trim() === '') return {};
  try {
    return Object(JSON.parse(text));
  } catch (error) {
    throw new Error(`the body is not valid JSON: ${(error as Error).message}`);
  }
}

function readDumpRequest({ worker, seconds }: Readonly<Record<string, unknown>>): DumpRequest {
  if (worker !== undefined && typeof worker !== 'string' && typeof worker !== 'number')
    throw new Error('"worker" must be the number of a worker, or a string such as "2.1" for its thread 1');
  if (seconds !== undefined && typeof seconds !== 'number') throw new Error('"seconds" must be a number');
  return { ...(worker !== undefined && { worker: String(worker) }), ...(seconds !== undefined && { seconds }) };
}

function readRequest({ workers, now, options }: Readonly<Record<string, unknown>>): Request {
  if (workers !== undefined && typeof workers !== 'string' && typeof workers !== 'number') {
    throw new Error('"workers" must be a number, or a string such as "+2"');
  }
  const switchOptions = options === undefined ? undefined : readOptions(options);
  return {
    ...(workers !== undefined && { workers: String(workers) }),
    now: now === true,
    ...(switchOptions && { options: switchOptions }),
  };
}

function readOptions(options: unknown): Readonly<Record<string, string>> {
  const isValue = (value: unknown) => typeof value === 'string' || typeof value === 'number';
  if (typeof options !== 'object' || options === null || !Object.values(options).every(isValue)) {
    throw new Error(
      '"options" must be an object of strings and numbers, such as { "model": "prethread", "threads": 4 }',
    );
  }
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [key, String(value)]));
}
