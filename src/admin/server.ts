// The admin server: pages to read and the dashboard, over HTTP. It never speaks to the app. With a token, or on a Unix socket,
// a client may also reload, scale and switch.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, Server as NetServer } from 'node:net';
import { type Act, perform } from '../control/perform.js';
import type { LiveFeed } from './live-feed.js';
import { type Page, type Pages, splitTarget, textPage } from './pages.js';
import type { Site } from './site.js';
import type { TokenCheck } from './token.js';

/** Further clients are disconnected. */
const maxConnections = 2000;
/** For the head, and for the whole request (milliseconds). */
const requestTimeoutMs = 5000;
const maxHeaderBytes = 8192;
/** How long `close` waits for open connections (milliseconds). */
const closeTimeoutMs = 1000;

/** Orchestrators ask for these, and have no token. They tell nothing but yes or no. */
const probes: readonly string[] = ['/livez', '/readyz'];

const actions = { '/reload': 'reload', '/scale': 'scale', '/switch': 'switch' } as const;
const livePath = '/live';

const securityHeaders = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
} as const;

export interface AdminServerOptions {
  readonly pages: Pages;
  readonly site: Site;
  readonly feed: LiveFeed;
  readonly act: Act;
  /** undefined if every client may read */
  readonly token: TokenCheck | undefined;
  /** It listens on a Unix socket, to which only its owner can connect. */
  readonly isUnix: boolean;
}

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #server: Server;

  /** Accepts connections on the listening socket `fd`, and takes over its ownership. */
  constructor(fd: number, options: AdminServerOptions) {
    this.#options = options;
    const limits = {
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      maxHeaderSize: maxHeaderBytes,
    };
    this.#server = createServer(limits, (request, response) => {
      response.on('error', () => {}); // the client may disconnect before it gets its response
      void this.#answer(request, response);
    });
    this.#server.maxConnections = maxConnections;
    this.#server.on('error', () => {}); // a failed accept affects only that client
    this.#server.listen({ fd });
  }

  /** Stops accepting, ends the streams, and settles when all requests in progress have their responses. */
  async close(): Promise<void> {
    const closed = new Promise((done) => NetServer.prototype.close.call(this.#server, done));
    this.#options.feed.close();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), closeTimeoutMs);
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
    const { method } = request;
    const [path, queryString] = splitTarget(request.url);
    const action = Object.hasOwn(actions, path) ? actions[path as keyof typeof actions] : undefined;
    const allowed = action ? ['POST'] : path === livePath ? ['GET'] : ['GET', 'HEAD'];
    if (!allowed.includes(method ?? '')) {
      response.setHeader('allow', allowed.join(', '));
      return write(request, response, textPage(405, `only ${allowed.join(' and ')}`));
    }
    const { site, feed, act } = this.#options;
    const file = site.get(path);
    if (file) return write(request, response, file);
    const refusal = this.#refusal(request, path) ?? (action && this.#refusalToAct(request));
    if (refusal) return write(request, response, refusal);
    if (action) return perform(act, action, request, response, 'dashboard');
    if (path !== livePath) return write(request, response, await this.#page(path, queryString, request.headers.accept));
    if (feed.isFull) return write(request, response, textPage(503, 'too many clients; try again'));
    return feed.join(response, this.#mayAct);
  }

  /** Readers have given the token, if there is one. */
  get #mayAct(): boolean {
    return this.#options.token !== undefined || this.#options.isUnix;
  }

  /** @returns undefined if the client may read that */
  #refusal({ headers, socket }: IncomingMessage, path: string): Page | undefined {
    if (probes.includes(path)) return undefined;
    const { token } = this.#options;
    if (token) return token.refusal(headers.authorization, socket.remoteAddress ?? '');
    // A page of another site has this browser ask for a name that leads here (DNS rebinding).
    if (!isLocalName(headers.host)) return textPage(403, 'ask for localhost or for an IP address');
    // It could not read the stream, but take the place of others.
    if (path === livePath && isOfOtherSite(headers['sec-fetch-site'])) return textPage(403, 'not for another site');
    return undefined;
  }

  #refusalToAct({ headers }: IncomingMessage): Page | undefined {
    if (!this.#mayAct) return textPage(403, 'actions need --admin-token-file, or --admin unix:PATH');
    // A page of another site cannot send this type without asking first, which is not answered.
    const isJson = /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '');
    if (!isJson || isOfOtherSite(headers['sec-fetch-site']))
      return textPage(403, 'needs Content-Type: application/json');
    return undefined;
  }

  async #page(path: string, queryString: string, accept: string | undefined): Promise<Page> {
    const { pages, site } = this.#options;
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (page) return Promise.resolve(page(accept, queryString)).catch((error: Error) => textPage(500, error.message));
    const known = [...site.keys(), livePath, ...Object.keys(pages), ...Object.keys(actions)].join(', ');
    return textPage(404, `unknown path; the paths are ${known}`);
  }
}

function write(request: IncomingMessage, response: ServerResponse, { status, type, content }: Page): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(content),
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
  });
  response.end(request.method === 'HEAD' ? undefined : content);
  request.resume();
}

/** @param host as the header has it; absent in HTTP/1.0 */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  const name = host.replace(/:\d*$/, '');
  return name === '' || name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}

/** @param fetchSite the header Sec-Fetch-Site, which only browsers send */
function isOfOtherSite(fetchSite: string | string[] | undefined): boolean {
  return fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none';
}
