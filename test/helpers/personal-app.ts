// An app whose responses say for whom they are, and clients that check whether they may have what they get. Each response can
// be computed again from its fields, so that a piece of another one is found anywhere in it.
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from './seeds.ts';

/** What a path answers, before the slash; after it is a number. */
const kinds = {
  public: 'public, max-age=1',
  plain: 'max-age=1',
  brief: 'max-age=0, stale-while-revalidate=60',
  frail: 'max-age=0, stale-if-error=60',
  private: 'private, max-age=60',
  unstored: 'no-store',
  cookie: 'max-age=60',
  guessed: undefined,
  silent: undefined,
  lang: 'max-age=1',
  varied: 'max-age=1',
  checked: 'no-cache',
  mixed: 'max-age=1',
  cut: 'max-age=60',
  short: 'max-age=60',
} as const;
type Kind = keyof typeof kinds;
const names = Object.keys(kinds) as Kind[];

const vary: Partial<Record<Kind, string>> = { lang: 'X-Lang', varied: 'Cookie, Authorization, X-Lang' };

/** Headers of a request that may choose its response. */
const choosing = ['cookie', 'authorization', 'x-lang'] as const;

/** The body of a response: no part of it is in that of another one. */
export function bodyOf(owner: string, length: number): string {
  return `<${owner}>`.repeat(Math.ceil(length / (owner.length + 2))).slice(0, length);
}

export interface Mood {
  /** From 0 to 1: how often the app fails. */
  readonly failures: number;
}

/** @param random for its delays and failures */
export function personalApp(random: Random, { failures }: Mood) {
  return async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const owner = String(req.headers['x-who']);
    const [, kind] = /^\/(\w+)\//.exec(req.url ?? '') as unknown as [string, Kind];
    if (random.chance(0.4)) await pause(random.integer(0, 4));
    if (req.method === 'POST') {
      req.resume();
      return void res.writeHead(200, { 'x-owner': owner }).end();
    }
    if (random.chance(failures)) {
      if (random.chance(0.3)) throw new Error('the app fails');
      return void res.writeHead(random.pick([500, 503]), { 'x-owner': owner, 'x-length': 0 }).end();
    }
    const length = random.integer(0, 1) * random.pick([1, 100, 9000, 70_000]);
    const isPrivate = kind === 'mixed' && req.headers.cookie !== undefined;
    const cacheControl = isPrivate ? 'private' : kinds[kind];
    const etag = kind === 'checked' ? '"one"' : `"${owner}"`;
    if (kind === 'checked' && req.headers['if-none-match'] === etag) return void res.writeHead(304, { etag }).end();
    res.statusCode = 200;
    const fields: Record<string, string | number | undefined> = {
      'x-owner': owner,
      'x-length': length,
      'x-path': req.url,
      'cache-control': cacheControl,
      vary: vary[kind],
      etag: kind === 'silent' ? undefined : etag,
      'last-modified': kind === 'guessed' ? new Date(Date.now() - 864e5).toUTCString() : undefined,
      'set-cookie': kind === 'cookie' || random.chance(0.02) ? `sid=${owner}` : undefined,
    };
    for (const name of choosing) fields[`x-of-${name}`] = encodeURIComponent(String(req.headers[name] ?? ''));
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) res.setHeader(name, value);
    const body = bodyOf(owner, length);
    if (kind === 'cut' && random.chance(0.5)) {
      res.write(body.slice(0, length / 2));
      await pause(1);
      return void res.destroy();
    }
    if (kind === 'short' && random.chance(0.5)) {
      res.setHeader('content-length', length + 7);
      return void res.end(body, () => req.socket.destroy());
    }
    if (random.chance(0.5)) return void res.end(body);
    for (let at = 0; at < length; at += 20_000) {
      res.write(body.slice(at, at + 20_000));
      if (random.chance(0.3)) await pause(1);
    }
    res.end();
  };
}

interface Sent {
  readonly who: string;
  readonly path: string;
  readonly method: string;
  readonly headers: OutgoingHttpHeaders;
}

let count = 0;

function randomRequest(random: Random): Sent {
  const who = `c${(++count).toString(36)}`;
  const path = `/${random.pick(names)}/${random.integer(1, 3)}`;
  const headers: OutgoingHttpHeaders = { 'x-who': who };
  if (random.chance(0.3)) headers.cookie = `sid=${random.integer(1, 3)}`;
  if (random.chance(0.2)) headers.authorization = `Bearer ${random.integer(1, 3)}`;
  if (random.chance(0.5)) headers['x-lang'] = random.pick(['de', 'en', 'de, en', 'de,en', 'EN']);
  if (random.chance(0.1))
    headers.range = random.pick(['bytes=0-9', 'bytes=5-', 'bytes=-20', 'bytes=0-1,5-9', 'bytes=90-20']);
  if (random.chance(0.1)) headers['if-none-match'] = random.pick(['"one"', '"c1"', '*', 'W/"one"']);
  if (random.chance(0.1))
    headers['cache-control'] = random.pick(['no-cache', 'max-age=0', 'no-store', 'only-if-cached', 'max-stale']);
  const method = random.chance(0.05) ? 'POST' : random.chance(0.1) ? 'HEAD' : 'GET';
  return { who, path, method, headers };
}

export interface Violation {
  readonly sent: Sent;
  readonly why: string;
  readonly response: IncomingMessage['headers'];
}

export interface Tally {
  readonly violations: Violation[];
  /** Responses that another client has caused. */
  shared: number;
  cut: number;
}

/** Sends `total` random requests, 32 at a time. @param urls of the event loops of a server, each of which gets some */
export async function askAtRandom(urls: readonly string[], random: Random, total: number): Promise<Tally> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const tally: Tally = { violations: [], shared: 0, cut: 0 };
  let left = total;
  const client = async () => {
    while (left-- > 0) await askOnce(random.pick(urls), agent, randomRequest(random), random.chance(0.05), tally);
  };
  await Promise.all(Array.from({ length: 32 }, client));
  agent.destroy();
  return tally;
}

function askOnce(url: string, agent: Agent, sent: Sent, leaves: boolean, tally: Tally): Promise<void> {
  return new Promise((done) => {
    const asked = request(`${url}${sent.path}`, { agent, method: sent.method, headers: sent.headers });
    asked.on('error', () => {}).once('close', done);
    asked.once('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        if (leaves) asked.destroy();
      });
      response.on('error', () => {});
      response.once('close', () => {
        const body = Buffer.concat(pieces).toString('latin1');
        const why = faultOf(sent, response, body, tally);
        if (why !== undefined) tally.violations.push({ sent, why, response: response.headers });
      });
    });
    if (leaves && sent.who.endsWith('1')) setTimeout(() => asked.destroy(), 2);
    asked.end();
  });
}

/** @returns what is wrong with a response; undefined if its client may have it */
function faultOf(sent: Sent, response: IncomingMessage, body: string, tally: Tally): string | undefined {
  const { headers, statusCode = 0, complete } = response;
  const { 'x-owner': owner, 'cache-control': cacheControl = '' } = headers as Record<string, string>;
  if (!complete) tally.cut++;
  if (owner === undefined) {
    if (statusCode === 200 || statusCode === 206) return 'a response of nobody';
    return [304, 416, 500, 503, 504].includes(statusCode) ? undefined : `an unexpected status ${statusCode}`;
  }
  const cookie = headers['set-cookie']?.join();
  if (cookie !== undefined && cookie !== `sid=${sent.who}`) return 'the cookie of another client';
  if (statusCode === 200 || statusCode === 206) {
    const wrong = wrongBody(sent, response, owner, body);
    if (wrong !== undefined) return wrong;
  }
  if (owner === sent.who) return undefined;
  tally.shared++;
  if (headers['x-path'] !== sent.path) return 'the response to another path';
  if (/private|no-store/.test(cacheControl)) return 'a response that was for one client';
  const of = (name: string) => decodeURIComponent(String(headers[`x-of-${name}`] ?? ''));
  if (cacheControl === '' && (of('cookie') || of('authorization'))) return 'what the app did not say is for all';
  if (of('authorization') && !cacheControl.includes('public')) return 'a response to credentials';
  for (const name of (headers.vary ?? '').toLowerCase().split(', ')) {
    if (name !== '' && of(name) !== String(sent.headers[name] ?? '')) return `a response for another ${name}`;
  }
  return undefined;
}

function wrongBody(sent: Sent, response: IncomingMessage, owner: string, body: string): string | undefined {
  if (sent.method === 'HEAD' || sent.method === 'POST') return body === '' ? undefined : 'a body that is none';
  const whole = bodyOf(owner, Number(response.headers['x-length']));
  const [, first = '0', last] = /^bytes (\d+)-(\d+)/.exec(response.headers['content-range'] ?? '') ?? [];
  const expected = last === undefined ? whole : whole.slice(Number(first), Number(last) + 1);
  if (response.complete && body.length !== expected.length) return 'a part as if it were the whole';
  return expected.startsWith(body) ? undefined : 'the body of another response';
}
