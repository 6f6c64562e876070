// Converts the option table to yargs options, for `--help` and shell completion. Only these import it: yargs is slow to
// load, so a server never loads it.
import yargs, { type Argv, type Options } from 'yargs';
import type { Switch } from './argv.js';
import type { ModelFacts } from './model.js';
import { type CommandOption, defaultWords, type Option } from './options.js';

/** A command, as help and completion describe it. */
export interface CommandFacts {
  readonly name: string;
  /** Its positional arguments in the usage line: `[app]`. */
  readonly takes: string;
  /** Maximum number of positional arguments; 1 by default. */
  readonly most?: number;
  /** One line. */
  readonly summary: string;
  /** Runs when the user names no command. */
  readonly default?: true;
  readonly switches?: readonly Switch[];
  /** Options that only this command takes. */
  readonly options?: readonly CommandOption[];
}

export interface CommandLine {
  readonly options: readonly Option[];
  readonly models: readonly ModelFacts[];
  readonly commands: readonly CommandFacts[];
  /** Switches that every command takes. */
  readonly switches: readonly Switch[];
}

/** What a command line does, and the command line. */
export type Example = readonly [effect: string, commandLine: string];

/**
 * The help of one command, `width` columns wide, without a final newline. Its own options come before the server's.
 * @param line the options, models and commands that it lists
 */
export async function helpText(
  line: CommandLine,
  { name, takes, summary, switches = [], options = [], ...command }: CommandFacts,
  examples: readonly Example[],
  width: number,
): Promise<string> {
  const usage = ['Usage: mpserve', ...(command.default ? [] : [name]), ...(takes ? [takes] : []), '[options]'];
  const models = line.models.map((facts) => `  ${facts.name.padEnd(12)}${facts.summary}`);
  const group = `Options of mpserve ${name}`;
  const own = Object.fromEntries([
    ...switches.map(({ flag, description }) => [flag, { group: `${group}:`, description, type: 'boolean' }]),
    ...options.map((option) => [option.flag, yargsOption(option, group)]),
  ]);
  const title = 'Examples:';
  const text = await describe(line, own)
    .usage([usage.join(' '), summary, title].join('\n\n'))
    .epilogue([...(models.length > 0 ? ['Models:', ...models, ''] : []), ...precedenceNote].join('\n'))
    .wrap(width)
    .getHelp();
  // yargs would print its own examples after all options, and removes the indentation of the usage.
  const shown = examples.map(([effect, commandLine]) => `  # ${effect}\n  ${commandLine}`);
  return text.replace(title, () => [title, ...shown].join('\n'));
}

const precedenceNote = [
  'Options can also be set in mpserve.config.{js,mjs,cjs,json} (maxConnections) or in the environment',
  '(MPSERVE_MAX_CONNECTIONS). A flag overrides the environment, and the environment overrides the file.',
];

/** Completions of the last of `words`, in the format that the completion script reads. `words[0]` is the program. */
export async function completions(line: CommandLine, words: readonly string[]): Promise<readonly string[]> {
  const ofCommands = line.commands.flatMap(({ switches = [], options = [] }) => [...switches, ...options]);
  // Without aliases, because yargs would complete `-h` as `--h`.
  const isOption = (flag: string): boolean => line.options.some((option) => option.flag === flag);
  const switches = [...line.switches, ...ofCommands]
    .filter(({ flag }) => !isOption(flag))
    .map(({ flag, description }) => ({ flag, description }));
  const options = line.options.map(({ alias: _, ...option }) => option);
  return describe({ ...line, switches, options }).getCompletion([...words]);
}

/** Prints the completion script for `shell`; undefined uses the shell in the variable SHELL. */
export function printCompletionScript(line: CommandLine, shell: string | undefined): void {
  // yargs reads the shell from SHELL only.
  if (shell !== undefined) process.env.SHELL = shell;
  describe(line).showCompletionScript();
}

/** @param own the options of one command; help lists options in the order in which yargs gets them */
function describe({ options, commands, switches }: CommandLine, own: Readonly<Record<string, Options>> = {}): Argv {
  const parser = yargs([]).scriptName('mpserve').help(false).version(false);
  parser.options(own);
  for (const { name, takes, summary } of commands) parser.command(`${name} ${takes}`.trim(), summary);
  for (const option of options) {
    const { alias } = option;
    if (!option.positional)
      parser.option(option.flag, { ...yargsOption(option, option.group), ...(alias === undefined ? {} : { alias }) });
  }
  for (const { flag, alias, description } of switches) {
    parser.option(flag, { description, type: 'boolean', ...(alias === undefined ? {} : { alias }) });
  }
  return parser;
}

function yargsOption(option: Option | CommandOption, group: string): Options {
  const { kind, description } = option;
  const words = defaultWords(option);
  return {
    group: `${group}:`,
    description: kind.range === undefined ? description : `${description} (${kind.range})`,
    ...(words && { defaultDescription: words }),
    ...(kind.metavar ? {} : { type: 'boolean' }),
    ...(kind.choices ? { choices: kind.choices } : {}),
  };
}
