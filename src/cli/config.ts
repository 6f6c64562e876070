// `mpserve config`: prints each option with its value and the source of the value. Starts nothing.

import { listOptions, type Option, type OptionTable } from '../config/options.js';
import { origin, type Source } from '../config/source.js';
import type { Settings } from '../control/protocol.js';
import type { Call } from './call.js';
import { printError } from './print-error.js';

interface Entry {
  readonly option: Option;
  /** As in a configuration file; null if the option has no value. */
  readonly value: ReturnType<Option['kind']['write']> | null;
  readonly source: Source;
}

export async function printConfig(call: Call): Promise<number> {
  const loaded = await call.load();
  for (const warning of loaded.warnings) printError(`warning: ${warning}`);
  console.log(formatConfig(call.table, loaded, call.switches.has('json')));
  return 0;
}

/** @param settings of this command, or those that a running server reported */
export function formatConfig(table: OptionTable, settings: Settings, isJson: boolean): string {
  const entries = listOptions(table)
    .filter((option) => option.key in settings.sources)
    .map((option) => entryOf(option, settings));
  return isJson ? json(entries) : aligned(entries);
}

function entryOf(option: Option, { config, sources }: Settings): Entry {
  const key = option.key as keyof Settings['config'];
  const value = config[key];
  return { option, value: value === undefined ? null : option.kind.write(value), source: sources[key] };
}

function json(entries: readonly Entry[]): string {
  const pairs = entries.map(({ option, value, source }) => [option.key, { value, source }]);
  return JSON.stringify(Object.fromEntries(pairs), null, 2);
}

function aligned(entries: readonly Entry[]): string {
  const rows = entries.map(({ option, value, source }) => [option.key, formatValue(option, value), origin(source)]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function formatValue(option: Option, value: Entry['value']): string {
  if (value === null) return `(${option.defaultWords ?? 'none'})`;
  if (typeof value === 'object') return value.length > 0 ? value.join(' ') : '(none)';
  return String(value);
}
