// Numbers as short as a column of the table is.
import { grouped } from '../control/text.js';

const none = '–';

type Figure = number | undefined;

/** `0.4`, `12`, `1,234`; `12 M` from ten million on. */
export function count(value: Figure): string {
  if (value === undefined) return none;
  if (value >= 1e7) return `${Math.floor(value / 1e6)} M`;
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : grouped(Math.round(value));
}

/** `0.4 ms`, `12 ms`, `12 s`, `20 min`, `3 h`. @param value milliseconds */
export function time(value: Figure): string {
  if (value === undefined) return none;
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (value < 600_000) return `${Math.floor(value / 1000)} s`;
  return value < 36_000_000 ? `${Math.floor(value / 60_000)} min` : `${Math.floor(value / 3_600_000)} h`;
}

/** `9.1 MB`, `120 MB`, `1.2 GB`. */
export function bytes(value: Figure): string {
  if (value === undefined) return none;
  if (value < 1e9) return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB`;
  return `${(value / 1e9).toFixed(value < 1e10 ? 1 : 0)} GB`;
}

/** @param value from 0 to 1; more for several processors */
export function percent(value: Figure): string {
  return value === undefined ? none : `${Math.round(value * 100)}%`;
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of at most `width` cells. @param part from 0 to 1 */
export function bar(part: number, width: number): string {
  const units = Math.round(Math.min(1, Math.max(0, part)) * width * 8);
  return '█'.repeat(units >> 3) + (eighths[units & 7] ?? '');
}
