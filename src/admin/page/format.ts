// Numbers and times for people.
import type { WorkerStatus } from '../../control/protocol.js';
import { escapeControls } from '../../log/escape.js';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const lastBucketMs = 10_000;
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** `worker 2`, `worker 2 of /pdf/*`. */
export function nameOf({ worker, route }: Pick<WorkerStatus, 'worker' | 'route'>): string {
  return `worker ${worker}${route === undefined ? '' : ` of ${route}`}`;
}

/** `0`, `0.4`, `7.2`, `1,234`. */
export function rate(value: number): string {
  return value === 0 || value >= 10 ? whole.format(value) : oneDigit.format(value);
}

/** A number and its unit: `0.42 ms`, `7.2 ms`, `310 ms`, `1.2 s`. */
export function latency(ms: number | null | undefined): readonly [value: string, unit: string] {
  if (ms === null || ms === undefined) return ['–', ''];
  if (ms < 1) return [ms.toFixed(2), 'ms'];
  if (ms < 10) return [oneDigit.format(ms), 'ms'];
  return ms < 1000 ? [whole.format(ms), 'ms'] : [oneDigit.format(ms / 1000), 's'];
}

/** As `latency`. What is longer than the last bucket of the histogram is not known better. */
export function quantile(ms: number | null): readonly [value: string, unit: string] {
  return ms !== null && ms >= lastBucketMs ? ['≥ 10', 's'] : latency(ms);
}

/** `12 s`, `4 min 12 s`, `3 h 4 min`, `2 d 3 h`. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return `${minutes} min ${seconds % 60} s`;
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `120 ms`, then as `duration`. */
export function age(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : ms < 60_000 ? `${oneDigit.format(ms / 1000)} s` : duration(ms);
}

export function megabytes(bytes: number): string {
  return `${whole.format(bytes / 1_048_576)} MB`;
}

export function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

/** `14:03:22`. @param at milliseconds since 1970 */
export function time(at: number): string {
  return clock.format(at);
}

/** Text of a client or of the app: without control characters, and short. */
export function shown(text: string, maxCharacters: number): string {
  const escaped = escapeControls(text);
  return escaped.length > maxCharacters ? `${escaped.slice(0, maxCharacters - 1)}…` : escaped;
}
