// The value of --rate-limit: `100/s:burst=20 by header:x-api-key`.
import type { Kind } from './kind.js';
import type { Reading } from './reading.js';

type Unit = 's' | 'm' | 'h' | 'd';

/** Seconds of each unit. */
export const unitSeconds: Readonly<Record<Unit, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A token bucket for each client: `burst` tokens, of which each request takes one. */
export interface RateLimit {
  /** Tokens that come back in each `unit`. */
  readonly count: number;
  readonly unit: Unit;
  readonly burst: number;
  /** The name of the header, in lower case, whose value names the client; undefined where its IP address does. */
  readonly header: string | undefined;
}

const max = 1_000_000;
const maxFillSeconds = 365 * unitSeconds.d;
const shape = /^([^/:\s]*\d[^/:\s]*)(?:\/([^:\s]*))?(?::burst=([^\s]*))?(?:\s+by\s+(\S+))?$/;
/** RFC 9110, section 5.6.2. */
const headerName = /^[\w!#$%&'*+.^`|~-]{1,256}$/;
const refusedShape = "be a rate such as '100/s', '6000/m:burst=200' or '100/s:burst=20 by header:x-api-key'";

/** undefined, written `off`, is no limit. */
export const rateLimit: Kind<RateLimit | undefined, string | false> = {
  metavar: 'RATE|off',
  range: `1/d to ${max}/s, with a burst of 1 to ${max}`,
  read(raw) {
    if (raw === 'off' || raw === false) return { value: undefined };
    const parts = typeof raw === 'string' ? shape.exec(raw.trim()) : null;
    if (!parts) return { refused: refusedShape };
    const [, number = '', unit = '', burst, by = 'ip'] = parts;
    if (!isUnit(unit)) return { refused: 'have a unit: N/s, N/m, N/h or N/d (a second, minute, hour or day)' };
    const count = readCount(number, 'allow');
    if ('refused' in count) return count;
    const tokens =
      burst === undefined ? { value: defaultBurst(count.value, unit) } : readCount(burst, 'have a burst of');
    if ('refused' in tokens) return tokens;
    const header = readBy(by);
    if ('refused' in header) return header;
    if ((tokens.value / count.value) * unitSeconds[unit] > maxFillSeconds)
      return { refused: 'have a burst that comes back within 365 days: take a smaller burst or a higher rate' };
    return { value: { count: count.value, unit, burst: tokens.value, header: header.value } };
  },
  write: (value) => (value ? formatRateLimit(value) : 'off'),
};

/** As it is written, with all that has a default. */
export function formatRateLimit({ count, unit, burst, header }: RateLimit): string {
  return `${count}/${unit}:burst=${burst} by ${header === undefined ? 'ip' : `header:${header}`}`;
}

/** What comes back in a second. */
function defaultBurst(count: number, unit: Unit): number {
  return Math.max(1, Math.floor(count / unitSeconds[unit]));
}

function readCount(text: string, verb: string): Reading<number> {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= max ? { value } : { refused: `${verb} 1 to ${max} requests, as a whole number` };
}

/** @returns the name of the header; undefined for the IP address */
function readBy(by: string): Reading<string | undefined> {
  if (by === 'ip') return { value: undefined };
  if (!by.startsWith('header:')) return { refused: "end in 'by ip' or 'by header:NAME'" };
  const name = by.slice('header:'.length);
  return headerName.test(name)
    ? { value: name.toLowerCase() }
    : { refused: 'name a header after header:, such as x-api-key' };
}

function isUnit(text: string): text is Unit {
  return Object.hasOwn(unitSeconds, text);
}
