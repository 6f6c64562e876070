// The variables of a template for access lines. They have the names that nginx gives them, where it has them.
import type { AccessVariable } from '../config/access-template.js';
import { headerOf } from '../http/header.js';
import type { AccessEntry } from './access-entry.js';
import type { Redaction } from './redact.js';
import { thousandths } from './thousandths.js';
import { traceOf } from './trace-context.js';

/** @returns text without regard to what a line may contain; undefined, written `-`, if there is none */
export type Variable = (entry: AccessEntry, redaction: Redaction) => string | number | undefined | null;

export interface VariableRow {
  readonly of: Variable;
  /** For the reference page. */
  readonly meaning: string;
  /** Its text may come from a client, or be long. */
  readonly isForeign?: true;
}

/** As nginx reports a client that has left before there was a response: formats of lines have no word for it. */
const clientGone = 499;

export const variables: Readonly<Record<AccessVariable, VariableRow>> = {
  remote_addr: { of: ({ remote }) => remote, meaning: 'the IP address of the client, as `remote` in JSON' },
  remote_user: { of: () => undefined, meaning: 'always `-`: mpserve authenticates no users' },
  time_local: { of: () => localTime(), meaning: 'when the line is written, as `27/Nov/2026:21:44:08 +0000`' },
  time_iso8601: { of: () => new Date().toISOString(), meaning: 'the same as `2026-11-27T21:44:08.123Z`' },
  msec: { of: () => thousandths(Date.now() / 1000), meaning: 'the same in seconds since 1970, with milliseconds' },
  request: {
    of: ({ method, url, httpVersion }, { text }) =>
      `${method} ${text(url)}${httpVersion === undefined ? '' : ` HTTP/${httpVersion}`}`,
    meaning: 'the request line, as `GET /path?query HTTP/1.1`',
    isForeign: true,
  },
  request_method: { of: ({ method }) => method, meaning: 'the method', isForeign: true },
  request_uri: { of: ({ url }, { text }) => text(url), meaning: 'the path with the query', isForeign: true },
  uri: { of: ({ url }) => url.split('?', 1)[0], meaning: 'the path', isForeign: true },
  args: {
    of: ({ url }, { text }) => (url.includes('?') ? text(url).slice(url.indexOf('?') + 1) : undefined),
    meaning: 'the query',
    isForeign: true,
  },
  server_protocol: {
    of: ({ httpVersion }) => httpVersion && `HTTP/${httpVersion}`,
    meaning: '`HTTP/1.1` or `HTTP/1.0`',
    isForeign: true,
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
  request_id: { of: ({ reqId }) => reqId, meaning: 'the request id (`x-request-id`)', isForeign: true },
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
  route: { of: ({ origin }) => origin.route, meaning: 'what its route matches', isForeign: true },
};

/** `$http_user_agent`: a header of the request. @param name in lower case */
export function headerVariable(name: string): VariableRow {
  return {
    of: ({ rawHeaders }, { header }) => {
      const value = headerOf(rawHeaders, name);
      return value === undefined ? undefined : header(name, value);
    },
    meaning: 'a header of the request: `$http_user_agent` is User-Agent',
    isForeign: true,
  };
}

function bodyBytes({ bytes, headBytes }: AccessEntry): number | null {
  return bytes === null ? null : Math.max(0, bytes - headBytes);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
let second = Number.NEGATIVE_INFINITY;
let written = '';

/** Made once a second. */
function localTime(): string {
  const time = Date.now();
  if (time >= second && time < second + 1000) return written;
  second = time - (time % 1000);
  const date = new Date(second);
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
