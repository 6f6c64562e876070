// The URL of a Redis server for --cache-store. It may have a password, which no message shows.
import { duration } from './quantity.js';
import type { Reading } from './reading.js';

export interface RedisTarget {
  /** Where it listens: a host and a port, or a Unix socket. */
  readonly address: { readonly host: string; readonly port: number; readonly tls: boolean } | { readonly path: string };
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** Servers with the same one share their responses. */
  readonly prefix: string;
  /** For an answer to a request (milliseconds). */
  readonly timeoutMs: number;
}

const example = 'redis://localhost?prefix=shop';
const schemes = ['redis:', 'rediss:', 'redis+unix:'];
const defaultPort = 6379;
const defaultTimeoutMs = 100;
const timeout = duration(1, 10_000);
const parameters = new Set(['prefix', 'timeout', 'db']);

export function isRedisUrl(text: string): boolean {
  return schemes.some((scheme) => text.startsWith(scheme));
}

/** @returns what is wrong with it, if anything, without quoting it */
export function readRedisUrl(text: string): Reading<RedisTarget> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !schemes.includes(url.protocol)) return { refused: `be the URL of a Redis server, as in ${example}` };
  const { protocol, searchParams } = url;
  const isUnix = protocol === 'redis+unix:';
  const [unknown] = [...searchParams.keys()].filter((name) => !parameters.has(name) || (name === 'db' && !isUnix));
  if (unknown !== undefined)
    return { refused: `have no parameters but prefix and timeout${isUnix ? ', and db' : ''}, as in ${example}` };
  const prefix = searchParams.get('prefix');
  if (prefix === null || !/^[\w.-]{1,64}$/.test(prefix))
    return {
      refused: `name a prefix of letters, digits, '.', '-' and '_', as in ${example}: servers with the same one share their responses`,
    };
  const timeoutReading = timeout.read(searchParams.get('timeout') ?? `${defaultTimeoutMs}ms`);
  if ('refused' in timeoutReading) return { refused: `have a timeout that is a time from 1ms to 10s, as in 250ms` };
  const database = isUnix ? (searchParams.get('db') ?? '0') : url.pathname.replace(/^\//, '') || '0';
  if (!/^\d{1,5}$/.test(database))
    return {
      refused: `have the number of a database${isUnix ? ' (?db=1)' : ' after the slash, as in redis://localhost/1'}`,
    };
  const host = decoded(url.hostname);
  const path = decoded(url.pathname);
  const [username, password] = [decoded(url.username), decoded(url.password)];
  if (path === undefined || username === undefined || password === undefined || host === undefined)
    return { refused: 'have no % but of two digits after it: write %25 for one' };
  if (isUnix && (path.length < 2 || !['', 'localhost'].includes(host)))
    return { refused: 'name the path of a socket, as in redis+unix:///run/redis/redis.sock?prefix=shop' };
  if (!isUnix && host === '') return { refused: `name a host, as in ${example}` };
  return {
    value: {
      address: isUnix
        ? { path }
        : {
            host: host.replace(/^\[(.*)\]$/, '$1'),
            port: url.port === '' ? defaultPort : Number(url.port),
            tls: protocol === 'rediss:',
          },
      username: username || undefined,
      password: password || undefined,
      database: Number(database),
      prefix,
      timeoutMs: timeoutReading.value,
    },
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Also of a text that is no URL: what may be a password is left out. */
export function withoutPassword(text: string): string {
  if (URL.canParse(text) && 'value' in readRedisUrl(text)) {
    const url = new URL(text);
    if (url.password !== '') url.password = '***';
    return url.href;
  }
  return text.replace(/\?.*/s, '?…').replace(/:.*@/s, '://***@');
}
