// The command line, taken apart as the option table says: by `plain-argv.ts`, or where that is not enough by yargs-parser.
// Checks which flags there are and that they have values, never what the values are. (Importing yargs itself costs as
// much as starting Node does.)
import type { Options } from 'yargs-parser';
import { ExitCode, StartupError } from '../errors.js';
import type { Kind } from './kind.js';
import { didYouMean } from './nearest.js';
import { type Parsed, readPlain } from './plain-argv.js';

/** A flag without a value that is no option of the server: `--help`. */
export interface Switch {
  readonly flag: string;
  readonly alias?: string;
  readonly description: string;
}

/** A flag with a value, or one that is on or off. */
export interface Flag {
  readonly key: string;
  readonly flag: string;
  readonly kind: Pick<Kind<unknown>, 'metavar' | 'repeatable'>;
  readonly positional?: true;
}

export interface Arguments {
  /** What the user gave without a flag, in order. */
  readonly words: readonly string[];
  /** By the key of their option: strings, lists of strings of the repeatable ones, booleans. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The switches that are on. */
  readonly switches: ReadonlySet<string>;
}

/** How yargs-parser and yargs read a command line; `--help` and completion are made with the same. */
export const parserConfiguration = {
  'camel-case-expansion': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'greedy-arrays': false,
  'short-option-groups': false,
} as const;

/** Throws a `StartupError` for a flag that is unknown, lacks its value, or is given twice without being repeatable. */
export async function readArguments(
  argv: readonly string[],
  options: readonly Flag[],
  switches: readonly Switch[],
): Promise<Arguments> {
  const flags = options.filter((option) => !option.positional);
  const valued = flags.filter((option) => option.kind.metavar).map((option) => option.flag);
  const boolean = flags.filter((option) => !option.kind.metavar).map((option) => option.flag);
  const plain = switches.map(({ flag }) => flag);
  const repeatable = flags.filter((option) => option.kind.repeatable).map((option) => option.flag);
  // A number is no flag, whatever stands before it: `ctl scale -1`. The value of a flag stays with its flag.
  const isNumber = (word: string, i: number): boolean =>
    /^-\d+$/.test(word) && !valued.includes((argv[i - 1] ?? '').replace(/^--/, ''));
  const rest = argv.filter((word, i) => !isNumber(word, i));
  const sets = { valued: new Set(valued), repeatable: new Set(repeatable), boolean: new Set([...boolean, ...plain]) };
  const parsed =
    readPlain(rest, sets) ??
    (await parseAny(rest, {
      string: valued,
      boolean: [...boolean, ...plain],
      array: repeatable,
      narg: Object.fromEntries(valued.map((flag) => [flag, 1])),
      alias: Object.fromEntries(switches.map(({ flag, alias }) => [flag, alias ?? []])),
      configuration: parserConfiguration,
    }));
  const known = new Set([...valued, ...boolean, ...plain, ...switches.map(({ alias }) => alias)]);
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '_') continue;
    const negated = value === false || (Array.isArray(value) && value.includes(false));
    if (!known.has(name) || (negated && valued.includes(name))) throw await unknownFlag(name, negated, argv, known);
  }
  for (const flag of [...boolean, ...plain]) {
    const odd = argv.find((word) => word.startsWith(`--${flag}=`) && !/=(true|false)$/.test(word));
    if (odd !== undefined) throw wrong(`--${flag} takes no value: write --${flag} or --no-${flag}, not ${odd}`);
  }
  const values: Record<string, unknown> = {};
  for (const { flag, key, kind } of flags) {
    const value: unknown = parsed[flag];
    if (value === undefined) continue;
    if (Array.isArray(value) && !kind.repeatable) {
      throw wrong(`--${flag} is given ${value.length} times (${value.join(', ')}); give it once`);
    }
    values[key] = value;
  }
  const words = [...parsed._, ...argv.filter(isNumber)];
  return { words, values, switches: new Set(plain.filter((flag) => parsed[flag] === true)) };
}

/** @throws StartupError for a flag that lacks its value */
async function parseAny(argv: readonly string[], options: Options): Promise<Parsed> {
  const { default: parse } = await import('yargs-parser');
  const { argv: parsed, error } = parse.detailed([...argv], options);
  const missing = error && /: (.*)$/.exec(error.message)?.[1];
  if (missing) throw wrong(`--${missing} needs a value; write --${missing}=VALUE`);
  return { ...parsed, _: parsed._.map(String) };
}

async function unknownFlag(name: string, negated: boolean, argv: readonly string[], known: Set<string | undefined>) {
  const negation = negated ? 'no-' : '';
  const written = argv.find((word) => word.startsWith(`-${name}`)) ? `-${name}` : `--${negation}${name}`;
  const kebab = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('_', '-');
  const long = [...known].filter((flag) => flag !== undefined && flag.length > 1) as string[];
  const hint = (negated ? '' : await didYouMean(kebab, long, '--')) || '; mpserve --help lists the flags';
  return wrong(`unknown flag ${written}${hint}`);
}

function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
