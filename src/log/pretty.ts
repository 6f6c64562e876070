// Formats log lines for people with pino-pretty. Escapes text from clients and apps, so that it cannot control the
// terminal or forge a log line.
import pretty from 'pino-pretty';
import type { ServerEvent } from '../events.js';
import { escapeControls } from './escape.js';
import type { LineFormat } from './line-queue.js';

type Fields = Record<string, unknown>;

/** Fields that are hidden, because the message of the event already has them or because only programs need them. */
const hiddenFields = new Map<unknown, readonly string[]>(
  Object.entries({
    ready: ['url', 'urls'],
    warning: ['warning'],
    stopping: ['reason', 'gracefulMs'],
    stopped: ['reason', 'requests'],
    output: ['stream'],
    request: ['reqId', 'method', 'url', 'status', 'bytes', 'durationMs', 'remote', 'truncated'],
  } satisfies { readonly [N in ServerEvent['event'] | 'request']?: readonly string[] }),
);

/** @param colorize with ANSI colours, for a terminal */
export function prettyFormat(colorize: boolean): LineFormat {
  const format = pretty.prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'event,pid,tid',
    customPrettifiers: { err: stackOf },
  });
  return (json) => format(visibleFields(json));
}

function visibleFields(line: string): Fields {
  const fields = parse(line);
  const msg = fields.event === 'request' ? requestLine(fields) : fields.msg;
  const hidden = hiddenFields.get(fields.event) ?? [];
  const visible = Object.entries({ ...fields, msg }).filter(([name]) => !hidden.includes(name));
  return Object.fromEntries(visible.map(([name, value]) => [name, name === 'err' ? value : escaped(value)]));
}

/** A line that is not a JSON object is a message: the app may have written it to the inherited pipe. */
function parse(line: string): Fields {
  try {
    const value = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value;
  } catch {}
  return { msg: line.trimEnd() };
}

function requestLine({ method, url, status, bytes, durationMs, remote, reqId }: Fields): string {
  return `${method} ${url} ${status ?? '?'} ${bytes ?? '?'} B ${Number(durationMs).toFixed(1)} ms ${remote ?? '?'} (${reqId})`;
}

function escaped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(escaped);
  return typeof value === 'string' ? escapeControls(value) : value;
}

/** Only the stack: the log message already has the message of the error. Keeps the newlines of the stack. */
function stackOf(err: unknown): string {
  return escapeControls(String((err as { stack?: unknown }).stack), '\n');
}
