// Checks the node options that the user gave for the workers (--node-arg) by running node with them. Imported only if
// there are any.
import { spawnSync } from 'node:child_process';
import { configError } from '../errors.js';
import { type Source, setting } from './source.js';

/** Node's exit code for an invalid option of its own: https://nodejs.org/api/process.html#exit-codes */
const invalidArgument = 9;

/**
 * Throws a `StartupError` with node's own message. Runs no code: node checks all options before it prints its version.
 */
export function checkNodeArguments(args: readonly string[], source: Source): void {
  const { status, stderr } = spawnSync(process.execPath, [...args, '--version'], { encoding: 'utf8', timeout: 5_000 });
  if (status !== invalidArgument) return;
  const reason = stderr.split('\n', 1)[0]?.replace(/^.*?: /, '');
  throw configError(`node refuses ${setting(source)}: ${reason}; see node --help`);
}
