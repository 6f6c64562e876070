// The server's side of the control socket: HTTP with JSON on a Unix socket that only its owner may use. It knows how
// to ask and to answer; what is done is done by the `Controls`.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';
import {
  type Action,
  actions,
  type Outcome,
  type Query,
  queries,
  type Request,
  type Settings,
  type Status,
  type Suspect,
  streamType,
  type WorkerStatus,
} from './protocol.js';
import { Refused } from './refused.js';

export interface Controls {
  status(): Status;
  workers(): readonly WorkerStatus[];
  quarantined(): readonly Suspect[];
  /** The configuration, and where each value came from. */
  settings(): Settings;
  /** @returns what came of it, in a sentence. @throws Refused, or Error when it failed */
  act(action: Action, request: Request, onProgress: (words: string) => void): Promise<string>;
}

/** A request is a few words; whoever sends more is not one of us (bytes, milliseconds). */
const longestBody = 4096;
const patience = 5000;
/** What is left of a conversation when the server ends (milliseconds). */
const farewellMs = 1000;

export class ControlServer {
  readonly #controls: Controls;
  readonly #server: Server;

  /** Answers on the listening socket `fd`, which belongs to it from now on. */
  constructor(fd: number, controls: Controls) {
    this.#controls = controls;
    this.#server = createServer({ headersTimeout: patience, requestTimeout: patience }, (request, response) => {
      // The client may go while it waits for its answer.
      response.on('error', () => {});
      void this.#handle(request, response);
    });
    this.#server.on('error', () => {}); // a failed accept costs that operator his connection, and us nothing
    this.#server.listen({ fd });
  }

  /** Settles when those who were being answered have their answers; takes nobody new. */
  async close(): Promise<void> {
    // Not as an http.Server does, which cuts who has connected and is about to ask.
    const closed = new Promise((done) => NetServer.prototype.close.call(this.#server, done));
    // Whoever has connected and asks nothing, or reads no answer, does not keep us.
    const late = setTimeout(() => this.#server.closeAllConnections(), farewellMs);
    await closed;
    clearTimeout(late);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = request.url?.slice(1) ?? '';
    const query = queries.find((one) => one === name);
    const action = actions.find((one) => one === name);
    if (!query && !action) {
      const known = [...queries, ...actions].map((one) => `/${one}`).join(', ');
      return answer(response, 404, failure(`there is no such path; there are ${known}`));
    }
    const method = action ? 'POST' : 'GET';
    if (request.method !== method) return answer(response, 405, failure(`/${name} is asked for with ${method}`));
    try {
      if (query) return answer(response, 200, this.#look(query));
      if (action) await this.#act(action, await readBody(request), request, response);
    } catch (error) {
      if (!response.headersSent) answer(response, query ? 500 : 400, failure((error as Error).message));
    }
  }

  #look(query: Query): unknown {
    const looks: { readonly [Q in Query]: () => unknown } = {
      status: () => this.#controls.status(),
      workers: () => this.#controls.workers(),
      config: () => this.#controls.settings(),
      quarantine: () => this.#controls.quarantined(),
    };
    return looks[query]();
  }

  async #act(action: Action, asked: Request, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isStream = request.headers.accept === streamType;
    if (isStream) response.writeHead(200, { 'content-type': streamType, connection: 'close' });
    const say = (line: unknown): void => void response.write(`${JSON.stringify(line)}\n`);
    const outcome = await this.#controls
      .act(action, asked, (progress) => isStream && say({ progress }))
      .then((message): Outcome => ({ ok: true, message }))
      .catch(
        (error: Error): Outcome => ({ ...failure(error.message), ...(error instanceof Refused && { refused: true }) }),
      );
    if (isStream) {
      say(outcome);
      response.end();
    } else answer(response, outcome.ok ? 200 : outcome.refused ? 409 : 500, outcome);
  }
}

function failure(error: string): Outcome {
  return { ok: false, error };
}

function answer(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(`${JSON.stringify(content)}\n`);
}

/** @throws Error in a sentence when it is not what we take */
async function readBody(request: IncomingMessage): Promise<Request> {
  let text = '';
  // Read to its end, as to break off would take the connection from the answer.
  for await (const chunk of request.setEncoding('utf8')) if (text.length <= longestBody) text += chunk;
  if (text.length > longestBody) throw new Error(`the body is longer than ${longestBody} bytes`);
  if (text.trim() === '') return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Error(`the body is no JSON: ${(error as Error).message}`);
  }
  const { workers, now, options } = Object(body) as Record<string, unknown>;
  if (workers !== undefined && typeof workers !== 'string' && typeof workers !== 'number') {
    throw new Error('"workers" must be a number, or text such as "+2"');
  }
  const words = options === undefined ? undefined : readOptions(options);
  return {
    ...(workers !== undefined && { workers: String(workers) }),
    now: now === true,
    ...(words && { options: words }),
  };
}

function readOptions(options: unknown): Readonly<Record<string, string>> {
  const isValue = (value: unknown) => typeof value === 'string' || typeof value === 'number';
  if (typeof options !== 'object' || options === null || !Object.values(options).every(isValue)) {
    throw new Error('"options" must be an object of text and numbers, such as { "model": "prethread", "threads": 4 }');
  }
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [key, String(value)]));
}
