// The last lines of the log, in words. They are kept as they were written, and parsed only for a page that asks.
import { escapeControls } from '../log/escape.js';
import type { LogLine } from './live.js';
import { Ring } from './ring.js';

export const maxLogLines = 200;
const maxTextCharacters = 1000;
/** A longer line is cut, and shown as JSON. */
const maxLineCharacters = 8192;

const levels: Readonly<Record<string, LogLine['level']>> = {
  '10': 'debug',
  '20': 'debug',
  '30': 'info',
  '40': 'warn',
  '50': 'error',
  '60': 'fatal',
};
/** Fields that are shown apart, or that `msg` tells. */
const hidden: ReadonlySet<string> = new Set([
  'level',
  'time',
  'msg',
  'event',
  'err',
  'text',
  'urls',
  'stack',
  'stream',
]);

export class LogTail {
  readonly #lines = new Ring<string>(maxLogLines);

  /** @param json a line as pino writes it */
  add(json: string): void {
    // A piece of a string would keep all of it in memory.
    this.#lines.push(json.length > maxLineCharacters ? Buffer.from(json.slice(0, maxLineCharacters)).toString() : json);
  }

  get end(): number {
    return this.#lines.end;
  }

  /** All of them, as they were written. */
  get written(): readonly string[] {
    return this.#lines.slice(0, this.end);
  }

  slice(from: number, to: number): readonly LogLine[] {
    return this.#lines.slice(from, to).map(inWords);
  }
}

function inWords(json: string): LogLine {
  const [, level = '30', time = '0'] = /^\{"level":(\d+),"time":(\d+)/.exec(json) ?? [];
  return {
    at: Number(time),
    level: levels[level] ?? 'info',
    text: escapeControls(textOf(json)).slice(0, maxTextCharacters),
  };
}

/** The message, then the other fields. */
function textOf(json: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(json);
  } catch {
    return json;
  }
  const rest = Object.entries(fields).filter(([name]) => !hidden.has(name));
  const words = rest.map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`);
  return [fields.msg, ...words].join(' ');
}
