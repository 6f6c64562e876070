// Log lines for people, through pino-pretty. What clients and apps wrote is escaped: it can neither write to the
// terminal nor pass for a line of ours.
import pretty from 'pino-pretty';
import type { ServerEvent } from '../events.js';
import type { Destination } from './destination.js';
import { escapeControls } from './escape.js';
import { LineQueue } from './line-queue.js';
import type { LineStream } from './logger.js';

type Fields = Record<string, unknown>;

/** Fields that the sentence of an event has said; of `output`, which stream it was matters to machines. */
const said = new Map<unknown, readonly string[]>(
  Object.entries({
    ready: ['url', 'urls'],
    warning: ['warning'],
    stopping: ['reason', 'gracefulMs'],
    stopped: ['reason', 'requests'],
    output: ['stream'],
    request: ['reqId', 'method', 'url', 'status', 'bytes', 'durationMs', 'remote', 'truncated'],
  } satisfies { readonly [N in ServerEvent['event']]?: readonly string[] }),
);

/** @param colorize for a terminal */
export function prettyStream({ fd }: Destination, colorize: boolean, onResumed: (lost: number) => void): LineStream {
  const queue = new LineQueue(fd, onResumed);
  const format = pretty.prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'event,pid,tid',
    customPrettifiers: { err: stackOf },
  });
  return {
    write: (line: string) => {
      queue.write(format(shown(line)));
      return true;
    },
  };
}

function shown(line: string): Fields {
  const fields = parse(line);
  const msg = fields.event === 'request' ? requestLine(fields) : fields.msg;
  const hidden = said.get(fields.event) ?? [];
  const left = Object.entries({ ...fields, msg }).filter(([name]) => !hidden.includes(name));
  return Object.fromEntries(left.map(([name, value]) => [name, name === 'err' ? value : escaped(value)]));
}

/** An app may have written to our pipe: what is no line of ours is a message. */
function parse(line: string): Fields {
  try {
    const value = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value;
  } catch {}
  return { msg: line.trimEnd() };
}

function requestLine({ method, url, status, bytes, durationMs, remote, reqId }: Fields): string {
  return `${method} ${url} ${status} ${bytes ?? '?'} B ${Number(durationMs).toFixed(1)} ms ${remote ?? '?'} (${reqId})`;
}

function escaped(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(escaped);
  return typeof value === 'string' ? escapeControls(value) : value;
}

/** The sentence has the message already; the stack keeps its lines, which are indented. */
function stackOf(err: unknown): string {
  return escapeControls(String((err as { stack?: unknown }).stack), '\n');
}
