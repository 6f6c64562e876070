// The command line: finds the command, runs it, and turns a StartupError into one line on standard error and an exit
// code. Every import here delays every start.
import { findApp } from '../config/app-path.js';
import { type Flag, readArguments, type Switch } from '../config/argv.js';
import { oneOf } from '../config/kind.js';
import { loadConfig, locateControl, type Overrides } from '../config/load.js';
import { listOptions, optionTable } from '../config/options.js';
import { configError, ExitCode, StartupError } from '../errors.js';
import { availableResources } from '../os/cgroup.js';
import { models } from '../strategies/models.js';
import { type Command, commands } from './commands.js';
import { endBySignals } from './first-process.js';
import { printError } from './print-error.js';
import { version } from './version.js';

const switches: readonly Switch[] = [
  { flag: 'help', alias: 'h', description: 'Print this help' },
  { flag: 'version', alias: 'v', description: 'Print the version' },
];
/** The completion script passes it to ask for completions. */
const completionFlag = '--get-yargs-completions';

/** Sets `process.exitCode`. Rejects only on a bug of mpserve. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  if (process.pid === 1) endBySignals();
  try {
    process.exitCode = await run(argv);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    // Imported only here, because the other commands do not need it.
    (await import('../supervisor/successor.js')).reportFailedStart(error.message);
    const { exitCode, message: reason } = error;
    if (!(await (await import('./starter.js')).announceFailure({ reason, exitCode })))
      printError(reason, wantsStack(argv) ? error : undefined);
    process.exitCode = error.exitCode;
  }
}

async function run(argv: readonly string[]): Promise<number> {
  if (process.platform === 'win32') {
    throw new StartupError(
      ExitCode.boot,
      'runs on Linux and macOS; on Windows, run it in the Windows Subsystem for Linux',
    );
  }
  const facts = Object.values(models);
  const table = optionTable(facts);
  const options = listOptions(table);
  const line = { options, models: facts, commands, switches };
  if (argv[0] === completionFlag) return (await import('./completion.js')).complete(line, argv.slice(1));

  const { command, given, positionals } = await parse(argv, options);
  if (given.switches.has('version')) return print(version());
  if (given.switches.has('help')) {
    const { commandHelp } = await import('./help.js');
    return print(await commandHelp(line, command, positionals[0], Math.min(process.stdout.columns ?? 100, 120)));
  }
  const suggestion = async (word: string) =>
    (await import('./suggest.js')).suggest(
      word,
      commands.map(({ name }) => name),
      facts.map(({ name }) => name),
    );
  const isNamed = positionals.length < given.words.length;
  await checkPositionals(command, positionals, isNamed ? undefined : suggestion, 'watch' in given.values);
  const input = (operator?: Overrides) => ({
    operator,
    table,
    models: facts,
    argv: { ...given.values, app: command.takes === '[app]' ? positionals[0] : undefined },
    env: process.env,
    cwd: process.cwd(),
    machine: availableResources(),
    suggest: suggestion,
  });
  return command.run({
    positionals,
    switches: given.switches,
    values: given.values,
    table,
    line,
    load: (operator) => loadConfig(input(operator)),
    locateControl: () => locateControl(input()),
  });
}

/** The command decides which flags exist, and the flags decide which word is the command. */
async function parse(argv: readonly string[], options: readonly Flag[]) {
  const defaultCommand = commands.find((command) => command.default) as Command;
  const read = (command: Command) => {
    checkForeignFlags(command, argv, options);
    return readArguments(argv, [...options, ...(command.options ?? [])], [...switches, ...(command.switches ?? [])]);
  };
  const named = commands.find(({ name }) => name === argv.find((word) => commands.some(({ name }) => name === word)));
  if (named) {
    const given = await read(named);
    if (given.words[0] === named.name) return { command: named, given, positionals: given.words.slice(1) };
  }
  const given = await read(defaultCommand); // the name of a command was the value of a flag
  return { command: defaultCommand, given, positionals: given.words };
}

/** For a flag of another command the message names that command, instead of "unknown flag". */
function checkForeignFlags(command: Command, argv: readonly string[], options: readonly Flag[]): void {
  const flagsOf = (one: Command): readonly string[] =>
    [...(one.switches ?? []), ...(one.options ?? [])].map(({ flag }) => flag);
  for (const word of argv) {
    const flag = /^--([^=]+)/.exec(word)?.[1];
    if (flag === undefined || flagsOf(command).includes(flag) || options.some((one) => one.flag === flag)) continue;
    const owners = commands.filter((other) => flagsOf(other).includes(flag)).map(({ name }) => `mpserve ${name}`);
    if (owners.length > 0) {
      throw configError(`--${flag} only works with ${oneOf(owners, 'and')}; remove it`);
    }
  }
}

async function checkPositionals(
  command: Command,
  positionals: readonly string[],
  suggestion: ((word: string) => Promise<string>) | undefined,
  isWatching: boolean,
): Promise<void> {
  const { most: maxPositionals = 1 } = command;
  if (positionals.length <= maxPositionals) return;
  const extra = positionals[maxPositionals];
  const last = positionals[maxPositionals - 1] ?? command.name;
  // If the user named no command, the first word may be a mistyped one; the name of a file is the app.
  const hint = suggestion && !existsAsApp(last) ? await suggestion(last) : '';
  if (hint) throw configError(`unknown command '${last}'${hint}`);
  const usage = isWatching
    ? `to watch it, write --watch=${extra}`
    : `usage: mpserve ${command.name} ${command.takes}`.trimEnd();
  throw configError(`unexpected argument '${extra}' after '${last}'; ${usage}`);
}

function existsAsApp(word: string): boolean {
  try {
    return findApp(word, process.cwd()) !== undefined;
  } catch {
    return true; // it exists, but this user may not read it
  }
}

function print(text: string): number {
  console.log(text);
  return 0;
}

/** Reads the log level from the raw arguments and the environment: the configuration may have failed to load. */
function wantsStack(argv: readonly string[]): boolean {
  const level = /(?:^|\s)--log-level[=\s](\S+)/.exec(argv.join(' '))?.[1] ?? process.env.MPSERVE_LOG_LEVEL;
  return level === 'debug' || level === 'trace';
}
