// The variables of a template for access lines. They have the names that nginx gives them, where it has them.
import { now } from '../clock.js';
import type { AccessVariable } from '../config/access-template.js';
import { headerOf } from '../http/header.js';
import type { AccessEntry } from './access-entry.js';
import { thousandths } from './thousandths.js';
import { traceOf } from './trace-context.js';

/** For text that may come from a client, or be long: makes it fit for a line. */
export interface Shown {
  text(text: string): string;
  /** Redacted as well. */
  url(url: string): string;
  /** The same. @param name in lower case */
  header(name: string, value: string): string;
}

/** @returns what the line gets; undefined, null or an empty text is written `-` */
export type Variable = (entry: AccessEntry, shown: Shown) => string | number | undefined | null;

export interface VariableRow {
  readonly of: Variable;
  /** For the reference page. */
  readonly meaning: string;
}

/** As nginx reports a client that has left before there was a response: formats of lines have no word for it. */
const clientGone = 499;

export const variables: Readonly<Record<AccessVariable, VariableRow>> = {
  remote_addr: { of: ({ remote }) => remote, meaning: 'the IP address of the client, as `remote` in JSON' },
  remote_user: { of: () => undefined, meaning: 'always `-`: mpserve authenticates no users' },
  time_local: {
    of: ({ endedAt }) => localTime(endedAt),
    meaning: 'when the line is written, as `27/Nov/2026:21:44:08 +0000`',
  },
  time_iso8601: { of: () => new Date().toISOString(), meaning: 'the same as `2026-11-27T21:44:08.123Z`' },
  msec: { of: () => thousandths(Date.now() / 1000), meaning: 'the same in seconds since 1970, with milliseconds' },
  request: {
    of: ({ method, url, httpVersion }, shown) =>
      `${shown.text(method)} ${shown.url(url)}${httpVersion === undefined ? '' : ` HTTP/${httpVersion}`}`,
    meaning: 'the request line, as `GET /path?query HTTP/1.1`',
  },
  request_method: { of: ({ method }, shown) => shown.text(method), meaning: 'the method' },
  request_uri: { of: ({ url }, shown) => shown.url(url), meaning: 'the path with the query' },
  uri: { of: ({ url }, shown) => shown.text(url.split('?', 1)[0] as string), meaning: 'the path' },
  args: {
    of: ({ url }, shown) => (url.includes('?') ? shown.url(url.slice(url.indexOf('?'))).slice(1) : undefined),
    meaning: 'the query',
  },
  server_protocol: {
    of: ({ httpVersion }) => httpVersion && `HTTP/${httpVersion}`,
    meaning: '`HTTP/1.1` or `HTTP/1.0`',
  },
  status: {
    of: ({ status }) => status ?? clientGone,
    meaning: 'the status; 499 if the client left before the response began',
  },
  bytes_sent: { of: ({ bytes }) => bytes, meaning: 'the bytes written to the connection, including headers' },
  body_bytes_sent: { of: bodyBytes, meaning: 'the same without the head of the response' },
  body_bytes_clf: {
    of: (entry) => bodyBytes(entry) || undefined,
    meaning: 'the same, with `-` for 0, as in `common` and `combined`',
  },
  request_time: {
    of: ({ durationMs }) => thousandths(durationMs / 1000),
    meaning: 'from the request to the end of the response, in seconds with milliseconds',
  },
  request_id: { of: ({ reqId }, shown) => shown.text(reqId), meaning: 'the request id (`x-request-id`)' },
  cache: { of: ({ cache }) => cache, meaning: 'what the cache has done with the request' },
  slow: {
    of: ({ slowBlockMs }) => (slowBlockMs === undefined ? undefined : 'slow'),
    meaning: '`slow` if the request took `--slow` or longer',
  },
  blocked_ms: {
    of: ({ slowBlockMs }) => slowBlockMs,
    meaning: 'of a slow request, the longest block of the event loop meanwhile, in milliseconds',
  },
  trace_id: { of: ({ rawHeaders }) => traceOf(rawHeaders)?.traceId, meaning: 'the trace id of a valid `traceparent`' },
  span_id: { of: ({ rawHeaders }) => traceOf(rawHeaders)?.spanId, meaning: "the caller's span id in it" },
  pid: { of: ({ origin }) => origin.pid, meaning: 'the process that has served the request' },
  tid: { of: ({ origin }) => origin.tid, meaning: 'the thread; 0 outside of threads' },
  route: {
    of: ({ origin: { route } }, shown) => route && shown.text(route),
    meaning: 'what its route matches',
  },
};

/** `$http_user_agent`: a header of the request. @param name in lower case */
export function headerVariable(name: string): VariableRow {
  return {
    of: ({ rawHeaders }, shown) => {
      const value = headerOf(rawHeaders, name);
      return value === undefined ? undefined : shown.header(name, value);
    },
    meaning: 'a header of the request: `$http_user_agent` is User-Agent',
  };
}

function bodyBytes({ bytes, headBytes }: AccessEntry): number | null {
  return bytes === null ? null : Math.max(0, bytes - headBytes);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
let written = '';
/** In milliseconds of `clock.ts`. */
let validUntil = Number.NEGATIVE_INFINITY;

/** Made once a second, when the clock of the system is read. @param at in milliseconds of `clock.ts` */
function localTime(at: number): string {
  if (at < validUntil) return written;
  const date = new Date();
  validUntil = now() + 1000 - date.getMilliseconds();
  const offset = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.trunc(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const zone = `${offset < 0 ? '-' : '+'}${two(hours)}${two(minutes)}`;
  const day = `${two(date.getDate())}/${months[date.getMonth()]}/${String(date.getFullYear()).padStart(4, '0')}`;
  written = `${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
  return written;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
