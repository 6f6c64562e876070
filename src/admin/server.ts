// The admin server: pages to read, over HTTP. It never speaks to the app, and changes nothing.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, Server as NetServer } from 'node:net';
import { type Page, type Pages, splitTarget, textPage } from './pages.js';
import type { TokenCheck } from './token.js';

/** More scrapers than that wait for others to be done. */
const maxConnections = 2000;
/** For the head, and for the whole request (milliseconds). */
const requestTimeoutMs = 5000;
const maxHeaderBytes = 8192;
/** How long `close` waits for open connections (milliseconds). */
const closeTimeoutMs = 1000;

/** Orchestrators ask for these, and have no token. They tell nothing but yes or no. */
const probes: readonly string[] = ['/livez', '/readyz'];

export class AdminServer {
  readonly #pages: Pages;
  readonly #token: TokenCheck | undefined;
  readonly #server: Server;

  /**
   * Accepts connections on the listening socket `fd`, and takes over its ownership.
   * @param token undefined if everyone who can connect may read
   */
  constructor(fd: number, pages: Pages, token: TokenCheck | undefined) {
    this.#pages = pages;
    this.#token = token;
    const options = {
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
    };
    this.#server = createServer(options, (request, response) => {
      response.on('error', () => {}); // the client may disconnect before it gets its response
      void this.#answer(request, response);
    });
    this.#server.maxConnections = maxConnections;
    this.#server.on('error', () => {}); // a failed accept affects only that client
    this.#server.listen({ fd });
  }

  /** Stops accepting, and settles when all requests in progress have their responses. */
  async close(): Promise<void> {
    const closed = new Promise((done) => NetServer.prototype.close.call(this.#server, done));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), closeTimeoutMs);
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, content } = await this.#page(request).catch((error: Error) => textPage(500, error.message));
    if (response.destroyed) return;
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(content),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(status === 405 && { allow: 'GET, HEAD' }),
    });
    response.end(request.method === 'HEAD' ? undefined : content);
    request.resume();
  }

  async #page({ method, url, headers, socket }: IncomingMessage): Promise<Page> {
    const [path, queryString] = splitTarget(url);
    if (method !== 'GET' && method !== 'HEAD') return textPage(405, 'only GET and HEAD');
    if (!probes.includes(path)) {
      if (this.#token) {
        const refusal = this.#token.refusal(headers.authorization, socket.remoteAddress ?? '');
        if (refusal) return refusal;
      } else if (!isLocalName(headers.host)) {
        // A page of another site has this browser ask for a name that leads here (DNS rebinding).
        return textPage(403, 'ask for localhost or for an IP address');
      }
    }
    const page = Object.hasOwn(this.#pages, path) ? this.#pages[path] : undefined;
    if (!page) return textPage(404, `unknown path; the paths are ${Object.keys(this.#pages).join(', ')}`);
    return page(headers.accept, queryString);
  }
}

/** @param host as the header has it; absent in HTTP/1.0 */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '');
  return name === '' || name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}
