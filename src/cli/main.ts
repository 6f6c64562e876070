// The command line: finds the command, runs it, and turns a failed start into one line and an exit code. What is
// imported here is paid for at every start.
import { readFileSync } from 'node:fs';
import { type Flag, readArguments, type Switch } from '../config/argv.js';
import { oneOf } from '../config/kind.js';
import { loadConfig, type Overrides } from '../config/load.js';
import { listOptions, optionTable } from '../config/options.js';
import { ExitCode, StartupError } from '../errors.js';
import { allowance } from '../os/cgroup.js';
import { models } from '../strategies/models.js';
import { type Command, commands } from './commands.js';
import { complain } from './print-error.js';

const switches: readonly Switch[] = [
  { flag: 'help', alias: 'h', description: 'Print this help' },
  { flag: 'version', alias: 'v', description: 'Print the version' },
];
/** How the completion script calls back. */
const completionCall = '--get-yargs-completions';

/** Sets `process.exitCode`; rejects only where mpserve itself is at fault. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  try {
    process.exitCode = await run(argv);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    // Loaded for this alone: a command that starts no server needs nothing of it.
    (await import('../supervisor/heritage.js')).declineHeritage(error.message);
    complain(error.message, wantsStack(argv) ? error : undefined);
    process.exitCode = error.exitCode;
  }
}

async function run(argv: readonly string[]): Promise<number> {
  if (process.platform === 'win32') {
    throw new StartupError(
      ExitCode.boot,
      'runs on Linux and macOS; on Windows, use it in the Windows Subsystem for Linux',
    );
  }
  const facts = Object.values(models);
  const table = optionTable(facts);
  const options = listOptions(table);
  const line = { options, models: facts, commands, switches };
  if (argv[0] === completionCall) return (await import('./completion.js')).complete(line, argv.slice(1));

  const { command, given, words } = await parse(argv, options);
  if (given.switches.has('version')) return print(version());
  if (given.switches.has('help')) {
    const { helpText } = await import('../config/help.js');
    return print(await helpText(line, command, Math.min(process.stdout.columns ?? 100, 120)));
  }
  checkWords(command, words);
  const load = (operator?: Overrides) =>
    loadConfig({
      operator,
      table,
      models: facts,
      argv: { ...given.values, app: command.takes === '[app]' ? words[0] : undefined },
      env: process.env,
      cwd: process.cwd(),
      machine: allowance(),
      commands: commands.map(({ name }) => name),
    });
  return command.run({ words, switches: given.switches, values: given.values, table, line, load });
}

/** Which flags there are depends on the command, and where its name stands on the flags. */
async function parse(argv: readonly string[], options: readonly Flag[]) {
  const standard = commands.find((command) => command.default) as Command;
  const read = (command: Command) => {
    checkForeign(command, argv);
    return readArguments(argv, [...options, ...(command.options ?? [])], [...switches, ...command.switches]);
  };
  const named = commands.find(({ name }) => name === argv.find((word) => commands.some(({ name }) => name === word)));
  if (named) {
    const given = await read(named);
    if (given.words[0] === named.name) return { command: named, given, words: given.words.slice(1) };
  }
  const given = await read(standard); // the word was the value of a flag
  return { command: standard, given, words: given.words };
}

/** Better than "unknown flag". */
function checkForeign(command: Command, argv: readonly string[]): void {
  const flagsOf = (one: Command): readonly string[] =>
    [...one.switches, ...(one.options ?? [])].map(({ flag }) => flag);
  for (const word of argv) {
    const flag = /^--([^=]+)/.exec(word)?.[1];
    if (flag === undefined || flagsOf(command).includes(flag)) continue;
    const owners = commands.filter((other) => flagsOf(other).includes(flag)).map(({ name }) => `mpserve ${name}`);
    if (owners.length > 0) {
      throw new StartupError(ExitCode.config, `--${flag} goes with ${oneOf(owners, 'and')} only; leave it out`);
    }
  }
}

function checkWords(command: Command, words: readonly string[]): void {
  const { most: allowed = 1 } = command;
  if (words.length > allowed) {
    const [first, second] = words.slice(allowed - 1);
    const most = `mpserve ${command.name} takes no more than ${command.takes}`;
    throw new StartupError(ExitCode.config, `unexpected argument '${second}' after '${first}': ${most}`);
  }
}

function print(text: string): number {
  console.log(text);
  return 0;
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}

/** Read from the words as they stand: there may be no configuration yet. */
function wantsStack(argv: readonly string[]): boolean {
  const level = /(?:^|\s)--log-level[=\s](\S+)/.exec(argv.join(' '))?.[1] ?? process.env.MPSERVE_LOG_LEVEL;
  return level === 'debug' || level === 'trace';
}
