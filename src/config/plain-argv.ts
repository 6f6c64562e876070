// The usual command line, read without yargs-parser, which takes 8 to 12 ms to load. Whatever is not plain (a mistake, a
// short flag, a word that could be read in two ways) is left to it, and so are all messages.

/** Flags by how they are written, without their dashes. */
export interface Flags {
  /** Take a value. */
  readonly valued: ReadonlySet<string>;
  /** Of these, those that may be repeated. */
  readonly repeatable: ReadonlySet<string>;
  /** Are on or off. */
  readonly boolean: ReadonlySet<string>;
}

/** As yargs-parser returns it: words under `_`, and values by flag. */
export type Parsed = { readonly _: readonly string[] } & Readonly<Record<string, unknown>>;

/** @returns what yargs-parser would return; undefined where `argv` is not plain */
export function readPlain(argv: readonly string[], { valued, repeatable, boolean }: Flags): Parsed | undefined {
  const words: string[] = [];
  const values = new Map<string, string | boolean | string[]>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (isWord(word)) {
      words.push(word);
      continue;
    }
    const [, no, flag = '', given] = /^--(no-)?([a-z][a-z-]*)(?:=(.+))?$/.exec(word) ?? [];
    if (boolean.has(flag) && given === undefined) {
      // yargs-parser would take a word such as `true` for the value.
      if (values.has(flag) || /^(true|false)$/.test(argv[i + 1] ?? '')) return undefined;
      values.set(flag, no === undefined);
      continue;
    }
    const value = given ?? argv[++i];
    if (no !== undefined || !valued.has(flag) || value === undefined || !isWord(value)) return undefined;
    const before = values.get(flag);
    if (before !== undefined && !repeatable.has(flag)) return undefined;
    if (repeatable.has(flag)) values.set(flag, [...((before as string[] | undefined) ?? []), value]);
    else values.set(flag, value);
  }
  return { ...Object.fromEntries(values), _: words };
}

/** Can only be a word or a value: no flag, and without quotation marks, some of which yargs-parser takes off. */
function isWord(text: string): boolean {
  return /^[^-'"\s][^'"\n]*$/.test(text);
}
