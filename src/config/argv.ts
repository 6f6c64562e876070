// Parses the command line with the option table: with `plain-argv.ts` if that can read it, with yargs-parser if not.
// Checks that the flags exist and have values; never checks the values. (Importing yargs itself takes as long as
// starting Node.)
import type { Options } from 'yargs-parser';
import { configError } from '../errors.js';
import { didYouMean } from './nearest.js';
import type { CommandOption } from './options.js';
import { type Parsed, readPlain } from './plain-argv.js';

/** A flag that takes no value and is not an option of the server: `--help`. */
export interface Switch {
  readonly flag: string;
  readonly alias?: string;
  readonly description: string;
}

/** A flag that takes a value, or that is on or off. */
export type Flag = Pick<CommandOption, 'key' | 'flag' | 'kind'> & { readonly positional?: true };

export interface Arguments {
  /** The positional arguments, in order. */
  readonly words: readonly string[];
  /** Values by option key: a string, a list of strings for a repeatable flag, or a boolean. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The flags without a value that are on. */
  readonly switches: ReadonlySet<string>;
}

/** Settings for yargs-parser, and for yargs when it prints help and completions. */
export const parserConfiguration = {
  'camel-case-expansion': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'greedy-arrays': false,
  'short-option-groups': false,
} as const;

/** Throws a `StartupError` for a flag that is unknown, has no value, or is given twice and is not repeatable. */
export async function readArguments(
  argv: readonly string[],
  options: readonly Flag[],
  switches: readonly Switch[],
): Promise<Arguments> {
  const flags = options.filter((option) => !option.positional);
  const flagsOf = (test: (flag: Flag) => unknown) => flags.filter(test).map(({ flag }) => flag);
  const valued = new Set(flagsOf(({ kind }) => kind.metavar));
  const repeatable = new Set(flagsOf(({ kind }) => kind.repeatable));
  const boolean = new Set([...flagsOf(({ kind }) => !kind.metavar), ...switches.map(({ flag }) => flag)]);
  // A negative number is an argument, not a flag (`ctl scale -1`), unless it follows a flag that takes a value.
  const isNumber = (word: string, i: number): boolean =>
    /^-\d+$/.test(word) && !valued.has((argv[i - 1] ?? '').replace(/^--/, ''));
  const rest = argv.filter((word, i) => !isNumber(word, i));
  const parsed =
    readPlain(rest, { valued, repeatable, boolean }) ??
    (await parseAny(rest, {
      string: [...valued],
      boolean: [...boolean],
      array: [...repeatable],
      narg: Object.fromEntries([...valued].map((flag) => [flag, 1])),
      alias: Object.fromEntries(switches.map(({ flag, alias }) => [flag, alias ?? []])),
      configuration: parserConfiguration,
    }));
  const known = new Set([...valued, ...boolean, ...switches.flatMap(({ alias }) => alias ?? [])]);
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '_') continue;
    const negated = value === false || (Array.isArray(value) && value.includes(false));
    if (!known.has(name) || (negated && valued.has(name))) throw await unknownFlag(name, negated, argv, known);
  }
  for (const flag of boolean) {
    const misused = argv.find((word) => word.startsWith(`--${flag}=`) && !/=(true|false)$/.test(word));
    if (misused !== undefined)
      throw configError(`--${flag} takes no value: write --${flag} or --no-${flag}, not ${misused}`);
  }
  const values: Record<string, unknown> = {};
  for (const { flag, key, kind } of flags) {
    const value: unknown = parsed[flag];
    if (value === undefined) continue;
    if (Array.isArray(value) && !kind.repeatable) {
      throw configError(`--${flag} is given ${value.length} times (${value.join(', ')}); give it once`);
    }
    values[key] = value;
  }
  const words = [...parsed._, ...argv.filter(isNumber)];
  return { words, values, switches: new Set([...boolean].filter((flag) => parsed[flag] === true)) };
}

/** @throws StartupError for a flag without its value */
async function parseAny(argv: readonly string[], options: Options): Promise<Parsed> {
  const { default: parse } = await import('yargs-parser');
  const { argv: parsed, error } = parse.detailed([...argv], options);
  const missing = error && /: (.*)$/.exec(error.message)?.[1];
  if (missing) throw configError(`--${missing} needs a value; write --${missing}=VALUE`);
  return { ...parsed, _: parsed._.map(String) };
}

async function unknownFlag(name: string, negated: boolean, argv: readonly string[], known: ReadonlySet<string>) {
  const negation = negated ? 'no-' : '';
  const written = argv.find((word) => word.startsWith(`-${name}`)) ? `-${name}` : `--${negation}${name}`;
  const kebab = name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`).replaceAll('_', '-');
  const long = [...known].filter((flag) => flag.length > 1);
  const hint = (negated ? '' : await didYouMean(kebab, long, '--')) || '; mpserve --help lists the flags';
  return configError(`unknown flag ${written}${hint}`);
}
