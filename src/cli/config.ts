// `mpserve config`: prints each option with its value and the source of the value. Starts nothing.
import { flatten } from '../config/config.js';
import type { Written } from '../config/kind.js';
import { configOptions, type Option, type OptionTable } from '../config/options.js';
import { origin } from '../config/source.js';
import type { Settings } from '../control/protocol.js';
import { aligned } from '../log/columns.js';
import type { Call } from './call.js';
import { printError } from './print-error.js';

export async function printConfig(call: Call): Promise<number> {
  const loaded = await call.load();
  for (const warning of loaded.warnings) printError(`warning: ${warning}`);
  console.log(formatConfig(call.table, { ...loaded, config: flatten(loaded.config) }, call.switches.has('json')));
  return 0;
}

/** @param settings of this command, or those that a running server reported */
export function formatConfig(table: OptionTable, settings: Settings, isJson: boolean): string {
  const entries = configOptions(table).map((option) => {
    const { key, kind } = option;
    const value = settings.config[key];
    return {
      option,
      value: value === undefined ? null : (kind.show ?? kind.write)(value),
      source: settings.sources[key],
    };
  });
  if (!isJson)
    return aligned(
      entries.map(({ option, value, source }) => [option.key, formatValue(option, value), origin(source)]),
    );
  const pairs = entries.map(({ option, value, source }) => [option.key, { value, source }]);
  return JSON.stringify(Object.fromEntries(pairs), null, 2);
}

/** @param value as in a configuration file; null if the option has no value */
function formatValue(option: Option, value: Written | null): string {
  if (value === null) return `(${option.defaultWords ?? 'none'})`;
  if (typeof value !== 'object') return String(value);
  const words = value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one)));
  return words.length > 0 ? words.join(' ') : '(none)';
}
