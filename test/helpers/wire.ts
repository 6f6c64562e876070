// A client that speaks bytes: one connection, TCP or Unix, on which the test writes what it likes and reads whole
// responses. It reads only when asked to, so a test that does not ask is a client that does not read.
import { once } from 'node:events';
import net from 'node:net';
import { patience, within } from './eventually.js';

export interface Head {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** By lower-case name; repeated fields are joined with a comma. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Response extends Head {
  readonly body: string;
  readonly trailers: Readonly<Record<string, string>>;
}

/** `http://host:port` or `unix:/path`, as the ready line gives them. */
export function connectOptions(url: string): net.NetConnectOpts {
  if (url.startsWith('unix:')) return { path: url.slice('unix:'.length) };
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}

export async function connect(url: string): Promise<Wire> {
  const wire = new Wire(net.connect(connectOptions(url)));
  await within(`a connection to ${url}`, once(wire.socket, 'connect'));
  return wire;
}

/** Whether nothing listens there. */
export async function isRefused(url: string): Promise<boolean> {
  try {
    (await connect(url)).close();
    return false;
  } catch {
    return true;
  }
}

/**
 * `answer`, for which nobody has to wait: a test that fails while it is pending closes the connection, and the rejection that
 * follows would fail the whole run.
 */
function mayBeLeft<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => {});
  return answer;
}

export class Wire implements Disposable {
  private unread: Buffer = Buffer.alloc(0);
  /** How the connection has ended. */
  private over: string | undefined;

  constructor(readonly socket: net.Socket) {
    socket.on('end', () => this.finish('ended'));
    socket.on('close', () => this.finish('closed'));
    socket.on('error', (error) => this.finish(error.message)); // a reset is an end, too
  }

  /** Sends bytes; resolves when the socket has taken them, or is no more. */
  async write(data: string | Buffer): Promise<void> {
    const socket = this.socket;
    if (socket.destroyed || socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  /** Sends a request: its line, `host` and `headers`, and the body with its length where there is one. */
  async request(line: string, headers: Readonly<Record<string, string>> = {}, body?: string): Promise<void> {
    const fields = { host: 'test', ...headers, ...(body === undefined ? {} : { 'content-length': `${body.length}` }) };
    const text = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    await this.write(`${line} HTTP/1.1\r\n${text.join('')}\r\n${body ?? ''}`);
  }

  /** The next response that is not a 1xx. `bodiless`: it answers a HEAD. */
  response({ bodiless = false } = {}): Promise<Response> {
    return mayBeLeft(this.nextResponse(bodiless));
  }

  private async nextResponse(bodiless: boolean): Promise<Response> {
    let head = await this.head();
    while (head.status < 200 && head.status !== 101) head = await this.head();
    if (bodiless || head.status === 101 || head.status === 204 || head.status === 304) return whole(head, '');
    if (/chunked/i.test(head.headers['transfer-encoding'] ?? '')) return this.chunked(head);
    const length = head.headers['content-length'];
    return whole(head, (length === undefined ? await this.rest() : await this.take(Number(length))).toString('latin1'));
  }

  /** `request` and `response` in one. */
  ask(line: string, headers?: Readonly<Record<string, string>>, body?: string): Promise<Response> {
    const bodiless = line.startsWith('HEAD ');
    return mayBeLeft(this.request(line, headers, body).then(() => this.nextResponse(bodiless)));
  }

  /** The next status line and its fields, 1xx as well. */
  async head(): Promise<Head> {
    const [start = '', ...fields] = (await this.until('\r\n\r\n')).split('\r\n');
    const line = /^HTTP\/(\d\.\d) (\d{3}) ?(.*)$/.exec(start);
    if (!line) throw new Error(`expected a status line, got ${JSON.stringify(start)}`);
    return { version: line[1] ?? '', status: Number(line[2]), reason: line[3] ?? '', headers: parse(fields) };
  }

  /** The next `length` bytes. Rejects when the connection ends before them. */
  async take(length: number): Promise<Buffer> {
    while (this.unread.length < length) await this.more(`${length} bytes`);
    const taken = this.unread.subarray(0, length);
    this.unread = this.unread.subarray(length);
    return taken;
  }

  /** Reads `length` bytes, or up to the end, and keeps none of them: how many there were. */
  async skip(length: number): Promise<number> {
    let skipped = 0;
    while (skipped < length && (this.unread.length > 0 || (await this.fill()))) {
      const now = Math.min(this.unread.length, length - skipped);
      this.unread = this.unread.subarray(now);
      skipped += now;
    }
    return skipped;
  }

  /** Everything until the other side ends, also by a reset. Rejects when it does not, `ms` after the last byte. */
  async rest(ms?: number): Promise<Buffer> {
    while (await this.fill(ms)) {}
    const taken = this.unread;
    this.unread = Buffer.alloc(0);
    return taken;
  }

  /** Ends our side only. */
  end(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The next chunk of a chunked body; empty for the last one, whose trailers are still to be read. */
  async chunk(): Promise<Buffer> {
    const size = Number.parseInt(await this.until('\r\n'), 16);
    if (size === 0) return Buffer.alloc(0);
    return (await this.take(size + 2)).subarray(0, size);
  }

  private async chunked(head: Head): Promise<Response> {
    const chunks: Buffer[] = [];
    for (let chunk = await this.chunk(); chunk.length > 0; chunk = await this.chunk()) chunks.push(chunk);
    const trailers: string[] = [];
    for (let line = await this.until('\r\n'); line !== ''; line = await this.until('\r\n')) trailers.push(line);
    return { ...whole(head, Buffer.concat(chunks).toString('latin1')), trailers: parse(trailers) };
  }

  /** The text before the next `mark`, which is taken, too. */
  private async until(mark: string): Promise<string> {
    let at = this.unread.indexOf(mark);
    while (at < 0) {
      await this.more(JSON.stringify(mark));
      at = this.unread.indexOf(mark);
    }
    const text = this.unread.toString('latin1', 0, at);
    this.unread = this.unread.subarray(at + mark.length);
    return text;
  }

  private async more(what: string): Promise<void> {
    if (await this.fill()) return;
    throw new Error(
      `the connection ended (${this.over}) before ${what}; unread: ${JSON.stringify(this.unread.toString('latin1'))}`,
    );
  }

  /** Adds what has arrived to `unread`, waiting for it if need be; false at the end. */
  private async fill(ms = patience): Promise<boolean> {
    for (;;) {
      const chunk = this.socket.read() as Buffer | null;
      if (chunk) {
        this.unread = this.unread.length > 0 ? Buffer.concat([this.unread, chunk]) : chunk;
        return true;
      }
      if (this.over !== undefined) return false;
      await within(`bytes; unread: ${JSON.stringify(this.unread.toString('latin1', 0, 200))}`, this.stirs(), ms);
    }
  }

  private stirs(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      this.socket.once('readable', resolve);
    });
  }

  private wake = (): void => {};

  private finish(how: string): void {
    this.over ??= how;
    this.wake();
  }
}

function parse(fields: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    const name = field.slice(0, colon).toLowerCase();
    const value = field.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}

function whole(head: Head, body: string): Response {
  return { ...head, body, trailers: {} };
}

/** As many connections, which are closed together. */
export async function connectAll(url: string, count: number): Promise<Disposable & { readonly all: readonly Wire[] }> {
  const all = await Promise.all(Array.from({ length: count }, () => connect(url)));
  return {
    all,
    [Symbol.dispose]() {
      for (const wire of all) wire.close();
    },
  };
}
