// The values of the options that only one command takes.
import { readValue } from '../config/load.js';
import type { CommandOption, CommandValues } from '../config/options.js';
import type { Call } from './call.js';

/** @throws StartupError */
export async function readOptions<R extends Readonly<Record<string, CommandOption>>>({ values }: Call, table: R) {
  const read: Record<string, unknown> = {};
  for (const { key, flag, kind, default: fallback } of Object.values(table)) {
    const raw = values[key];
    read[key] = raw === undefined ? fallback : await readValue(kind, raw, { kind: 'argv', flag: `--${flag}` });
  }
  return read as CommandValues<R>;
}
