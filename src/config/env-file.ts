// Reads the files of --env-file. Imported only if there are any.
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { configError } from '../errors.js';

/** A variable, and the file that sets it. */
export interface FileVariable {
  readonly value: string;
  readonly path: string;
}

/**
 * The variables by name; a later file overrides an earlier one, as with node.
 * @param source of the setting, for error messages. @throws StartupError if a file cannot be read
 */
export function readEnvFiles(paths: readonly string[], source: string): ReadonlyMap<string, FileVariable> {
  const variables = new Map<string, FileVariable>();
  for (const path of paths) {
    for (const [name, value = ''] of Object.entries(parseEnv(read(path, source)))) variables.set(name, { value, path });
  }
  return variables;
}

function read(path: string, source: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw configError(`cannot read the file ${path} (${source}): ${reasons[code ?? ''] ?? message}`, error);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist; create it, or remove the setting',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};
