// Parses a plain command line without yargs-parser, which takes 8 to 12 ms to load. A command line that is not plain
// (with a mistake, a short flag or an ambiguous argument) is left to yargs-parser, and so are all error messages.

/** Names of flags by type, without dashes. */
export interface Flags {
  /** Flags that take a value. */
  readonly valued: ReadonlySet<string>;
  /** Those of `valued` that may be repeated. */
  readonly repeatable: ReadonlySet<string>;
  /** Flags that are on or off. */
  readonly boolean: ReadonlySet<string>;
}

/** In the form that yargs-parser returns: positional arguments in `_`, and values by flag. */
export type Parsed = { readonly _: readonly string[] } & Readonly<Record<string, unknown>>;

/** @returns what yargs-parser would return; undefined if `argv` is not plain */
export function readPlain(argv: readonly string[], { valued, repeatable, boolean }: Flags): Parsed | undefined {
  const positionals: string[] = [];
  const values = new Map<string, string | boolean | string[]>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    if (isArgument(argument)) {
      positionals.push(argument);
      continue;
    }
    const [, no, flag = '', given] = /^--(no-)?([a-z][a-z-]*)(?:=(.+))?$/.exec(argument) ?? [];
    if (boolean.has(flag) && given === undefined) {
      // yargs-parser would read an argument `true` as the value of the flag.
      if (values.has(flag) || /^(true|false)$/.test(argv[i + 1] ?? '')) return undefined;
      values.set(flag, no === undefined);
      continue;
    }
    const value = given ?? argv[++i];
    if (no !== undefined || !valued.has(flag) || value === undefined || !isArgument(value)) return undefined;
    const before = values.get(flag);
    if (before !== undefined && !repeatable.has(flag)) return undefined;
    if (repeatable.has(flag)) values.set(flag, [...((before as string[] | undefined) ?? []), value]);
    else values.set(flag, value);
  }
  return { ...Object.fromEntries(values), _: positionals };
}

/**
 * Whether `text` is a positional argument or a value: not a flag, and without quotes, some of which yargs-parser
 * removes.
 */
function isArgument(text: string): boolean {
  return /^[^-'"\s][^'"\n]*$/.test(text);
}
