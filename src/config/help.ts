// The option table as yargs wants it, for `--help` and shell completion. Imported for these alone: yargs is slow to
// load, so a server that starts never does.
import yargs, { type Argv, type Options } from 'yargs';
import { parserConfiguration, type Switch } from './argv.js';
import type { ModelFacts } from './model.js';
import { type CommandOption, defaultWords, type Option } from './options.js';

/** A command as help and completion show it. */
export interface CommandFacts {
  readonly name: string;
  /** What may follow it: `[app]`. */
  readonly takes: string;
  /** So many words; 1 where nothing is said. */
  readonly most?: number;
  /** One line. */
  readonly summary: string;
  /** Run when no command is named. */
  readonly default?: true;
  readonly switches: readonly Switch[];
  /** Flags with a value that it alone takes. */
  readonly options?: readonly CommandOption[];
}

export interface CommandLine {
  readonly options: readonly Option[];
  readonly models: readonly ModelFacts[];
  readonly commands: readonly CommandFacts[];
  /** The switches that every command has. */
  readonly switches: readonly Switch[];
}

/** The help of one command, `width` columns wide, without a final newline. */
export function helpText(line: CommandLine, command: CommandFacts, width: number): Promise<string> {
  const usage = command.default
    ? `mpserve ${command.takes} [options]`
    : `mpserve ${command.name} ${command.takes} [options]`;
  const models = line.models.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  return describe({ ...line, commands: command.default ? line.commands : [] })
    .usage(`Usage: ${usage}\n\n${command.summary}`)
    .options(
      Object.fromEntries([
        ...command.switches.map(({ flag, description }) => [flag, { description, type: 'boolean' }]),
        ...(command.options ?? []).map((option) => [option.flag, yargsOption(option, `mpserve ${command.name}`)]),
      ]),
    )
    .epilogue(['Models:', ...models, '', ...elsewhere].join('\n'))
    .wrap(width)
    .getHelp();
}

const elsewhere = [
  'An option can also stand in mpserve.config.{js,mjs,cjs,json} (maxConnections) or in the environment',
  '(MPSERVE_MAX_CONNECTIONS). Flags win over the environment, and that over the file.',
];

/** Completions of the last of `words`, which begin with the name of the program, as the shell's script wants them. */
export async function completions(line: CommandLine, words: readonly string[]): Promise<readonly string[]> {
  const own = line.commands.flatMap(({ switches, options = [] }) => [...switches, ...options]);
  // Without aliases, which yargs would offer as `--h`.
  const switches = [...line.switches, ...own].map(({ flag, description }) => ({ flag, description }));
  return describe({ ...line, switches }).getCompletion([...words]);
}

/** Prints the script for `shell`; undefined is the shell that SHELL names. */
export function printCompletionScript(line: CommandLine, shell: string | undefined): void {
  // yargs knows no other way of being told.
  if (shell !== undefined) process.env.SHELL = shell;
  describe(line).showCompletionScript();
}

function describe({ options, commands, switches }: CommandLine): Argv {
  const parser = yargs([]).scriptName('mpserve').parserConfiguration(parserConfiguration).help(false).version(false);
  for (const { name, takes, summary } of commands) parser.command(`${name} ${takes}`.trim(), summary);
  for (const option of options) {
    if (!option.positional) parser.option(option.flag, yargsOption(option, option.group));
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
