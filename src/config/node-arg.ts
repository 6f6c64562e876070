// Whether node takes the options that a user gave for the workers. Only node knows; imported where there are any.
import { spawnSync } from 'node:child_process';
import { ExitCode, StartupError } from '../errors.js';
import { type Source, setting } from './source.js';

/** What node exits with when it refuses its own options: https://nodejs.org/api/process.html#exit-codes */
const refused = 9;

/** Throws a `StartupError` with what node says. Nothing is run: node reads all options before it prints its version. */
export function checkNodeArguments(args: readonly string[], source: Source): void {
  const { status, stderr } = spawnSync(process.execPath, [...args, '--version'], { encoding: 'utf8', timeout: 5_000 });
  if (status !== refused) return;
  const said = stderr.split('\n', 1)[0]?.replace(/^.*?: /, '');
  throw new StartupError(ExitCode.config, `${setting(source)} is refused by node: ${said}; see node --help`);
}
