// Parses the command line with the option table. Checks that the flags exist and have values; never checks the values.
// Without a library: yargs-parser takes 8 to 12 ms to load, and util.parseArgs takes the next flag for a missing value.
import { configError } from '../errors.js';
import { didYouMean } from './nearest.js';
import type { CommandOption } from './options.js';

/** A flag that takes no value and is not an option of the server: `--help`. */
export interface Switch {
  readonly flag: string;
  readonly alias?: string;
  readonly description: string;
}

/** A flag that takes a value, or that is on or off. */
export type Flag = Pick<CommandOption, 'key' | 'flag' | 'kind'> & {
  readonly positional?: true;
  readonly alias?: string;
};

/**
 * @returns the positional arguments in order; values by option key: a string, a list of strings for a repeatable flag, or
 * a boolean; and the flags without a value that are on
 * @throws StartupError for a flag that is unknown, has no value, or is given twice and is not repeatable
 */
export async function readArguments(argv: readonly string[], options: readonly Flag[], switches: readonly Switch[]) {
  const known = new Map<string, Flag | Switch>();
  const named = options.filter(({ positional }) => !positional);
  for (const one of [...named, ...switches]) known.set(one.flag, one).set(one.alias ?? one.flag, one);
  const words: string[] = [];
  const texts = new Map<Flag, string[]>();
  const values: Record<string, unknown> = {};
  const on = new Set<string>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!looksLikeFlag(word)) {
      words.push(word);
      continue;
    }
    const [, no, name = '', inline] = /^--?(no-)?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    const flag = known.get(name);
    const option = flag && 'kind' in flag ? flag : undefined;
    if (!flag || (no && option?.kind.metavar)) throw await unknownFlag(word, known);
    if (option?.kind.metavar) {
      const { ifBare } = option.kind;
      const text = inline ?? ifBare ?? argv[++i];
      if (text === undefined || (inline === undefined && ifBare === undefined && looksLikeFlag(text)))
        throw configError(`${dashed(name)} needs a value; write ${dashed(name)}=VALUE`);
      texts.set(option, [...(texts.get(option) ?? []), text]);
      continue;
    }
    const text = inline ?? (!no && isTrueOrFalse(argv[i + 1]) ? argv[++i] : 'true');
    if (!isTrueOrFalse(text))
      throw configError(`--${name} takes no value: write --${name} or --no-${name}, not ${word}`);
    const isOn = (text === 'true') === (no === undefined);
    if (option) values[option.key] = isOn;
    else if (isOn) on.add(flag.flag);
  }
  for (const [{ flag, key, kind }, given] of texts) {
    if (given.length > 1 && !kind.repeatable) {
      throw configError(`--${flag} is given ${given.length} times (${given.join(', ')}); give it once`);
    }
    values[key] = kind.repeatable ? given : given[0];
  }
  return { words, values, switches: on };
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** Not for a negative number, which is an argument (`ctl scale -1`) or a value. */
function looksLikeFlag(word: string): boolean {
  return /^-[^\d]/.test(word);
}

function isTrueOrFalse(word: string | undefined): boolean {
  return word === 'true' || word === 'false';
}

async function unknownFlag(word: string, known: ReadonlyMap<string, unknown>) {
  const [written = word] = word.split('=');
  const name = written.replace(/^--?/, '');
  const kebab = name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`).replaceAll('_', '-');
  const long = [...known.keys()].filter((flag) => flag.length > 1);
  const hint =
    (name.startsWith('no-') ? '' : await didYouMean(kebab, long, '--')) || '; mpserve --help lists the flags';
  return configError(`unknown flag ${written}${hint}`);
}
