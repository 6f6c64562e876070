// The variables of a template for access lines. They have the names that nginx gives them, where it has them.
import { now } from '../clock.js';
import type { AccessVariable } from '../config/access-template.js';
import { headerOf } from '../http/header.js';
import type { AccessEntry } from './access-entry.js';
import type { Redaction } from './redact.js';
import { thousandths } from './thousandths.js';
import { traceOf } from './trace-context.js';

/** What a variable is written to; no value, or an empty one, is written `-`. */
export interface VariableField {
  readonly redact: Redaction;
  /** A value of ours: ASCII that has no meaning in a line. */
  own(value: string | number | undefined | null): void;
  /** Text that may come from a client, or be long. */
  foreign(text: string | undefined): void;
}

export type Variable = (entry: AccessEntry, to: VariableField) => void;

export interface VariableRow {
  readonly write: Variable;
  /** For the reference page. */
  readonly meaning: string;
}

/** As nginx reports a client that has left before there was a response: formats of lines have no word for it. */
const clientGone = 499;

export const variables: Readonly<Record<AccessVariable, VariableRow>> = {
  remote_addr: {
    write: ({ remote }, to) => to.own(remote),
    meaning: 'the IP address of the client, as `remote` in JSON',
  },
  remote_user: { write: (_, to) => to.own(undefined), meaning: 'always `-`: mpserve authenticates no users' },
  time_local: {
    write: ({ endedAt }, to) => to.own(localTime(endedAt)),
    meaning: 'when the line is written, as `27/Nov/2026:21:44:08 +0000`',
  },
  time_iso8601: {
    write: (_, to) => to.own(new Date().toISOString()),
    meaning: 'the same as `2026-11-27T21:44:08.123Z`',
  },
  msec: {
    write: (_, to) => to.own(thousandths(Date.now() / 1000)),
    meaning: 'the same in seconds since 1970, with milliseconds',
  },
  request: {
    write: ({ method, url, httpVersion }, to) => {
      to.foreign(method);
      to.own(' ');
      to.foreign(to.redact.text(url));
      if (httpVersion === undefined) return;
      to.own(' HTTP/');
      to.own(httpVersion);
    },
    meaning: 'the request line, as `GET /path?query HTTP/1.1`',
  },
  request_method: { write: ({ method }, to) => to.foreign(method), meaning: 'the method' },
  request_uri: { write: ({ url }, to) => to.foreign(to.redact.text(url)), meaning: 'the path with the query' },
  uri: { write: ({ url }, to) => to.foreign(url.split('?', 1)[0]), meaning: 'the path' },
  args: {
    write: ({ url }, to) => to.foreign(url.includes('?') ? to.redact.text(url).slice(url.indexOf('?') + 1) : undefined),
    meaning: 'the query',
  },
  server_protocol: {
    write: ({ httpVersion }, to) => to.own(httpVersion && `HTTP/${httpVersion}`),
    meaning: '`HTTP/1.1` or `HTTP/1.0`',
  },
  status: {
    write: ({ status }, to) => to.own(status ?? clientGone),
    meaning: 'the status; 499 if the client left before the response began',
  },
  bytes_sent: {
    write: ({ bytes }, to) => to.own(bytes),
    meaning: 'the bytes written to the connection, including headers',
  },
  body_bytes_sent: {
    write: (entry, to) => to.own(bodyBytes(entry)),
    meaning: 'the same without the head of the response',
  },
  body_bytes_clf: {
    write: (entry, to) => to.own(bodyBytes(entry) || undefined),
    meaning: 'the same, with `-` for 0, as in `common` and `combined`',
  },
  request_time: {
    write: ({ durationMs }, to) => to.own(thousandths(durationMs / 1000)),
    meaning: 'from the request to the end of the response, in seconds with milliseconds',
  },
  request_id: { write: ({ reqId }, to) => to.foreign(reqId), meaning: 'the request id (`x-request-id`)' },
  cache: { write: ({ cache }, to) => to.own(cache), meaning: 'what the cache has done with the request' },
  slow: {
    write: ({ slowBlockMs }, to) => to.own(slowBlockMs === undefined ? undefined : 'slow'),
    meaning: '`slow` if the request took `--slow` or longer',
  },
  blocked_ms: {
    write: ({ slowBlockMs }, to) => to.own(slowBlockMs),
    meaning: 'of a slow request, the longest block of the event loop meanwhile, in milliseconds',
  },
  trace_id: {
    write: ({ rawHeaders }, to) => to.own(traceOf(rawHeaders)?.traceId),
    meaning: 'the trace id of a valid `traceparent`',
  },
  span_id: {
    write: ({ rawHeaders }, to) => to.own(traceOf(rawHeaders)?.spanId),
    meaning: "the caller's span id in it",
  },
  pid: { write: ({ origin }, to) => to.own(origin.pid), meaning: 'the process that has served the request' },
  tid: { write: ({ origin }, to) => to.own(origin.tid), meaning: 'the thread; 0 outside of threads' },
  route: { write: ({ origin }, to) => to.foreign(origin.route), meaning: 'what its route matches' },
};

/** `$http_user_agent`: a header of the request. @param name in lower case */
export function headerVariable(name: string): VariableRow {
  return {
    write: ({ rawHeaders }, to) => {
      const value = headerOf(rawHeaders, name);
      to.foreign(value && to.redact.header(name, value));
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
