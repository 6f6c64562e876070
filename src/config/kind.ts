// The kinds of value that an option can have: how each is read from text or from a configuration file, what it
// refuses, and how it is written back. Knows no option by name.
import path from 'node:path';
import { type Address, formatAddress, readAddress } from './address.js';

/** `refused` completes "… must"; `offender` is the part of a list that is to blame. */
export type Reading<T> = { readonly value: T } | { readonly refused: string; readonly offender?: unknown };

export interface Kind<T> {
  /** Stands for the value in `--help`. */
  readonly metavar: string;
  readonly choices?: readonly string[];
  /** What is allowed, in words, where `choices` does not say it. */
  readonly range?: string;
  /** The flag may be repeated; a variable separates by white space. */
  readonly repeatable?: true;
  /** Takes a string from the command line or a variable, and whatever stands in a configuration file. */
  read(raw: unknown): Reading<T>;
  /** As a configuration file would have it; `read` takes it back. */
  write(value: T): string | number | boolean | readonly string[];
  /** Makes a relative path, which was meant from `base`, one that works from `cwd`. */
  rebase?(value: T, base: string, cwd: string): T;
}

export function count(min: number, max: number): Kind<number> {
  const refused = `be a whole number from ${min} to ${max}`;
  return {
    metavar: 'N',
    range: `${min} to ${max}`,
    read(raw) {
      const value = typeof raw === 'string' && /^\d+$/.test(raw) ? Number(raw) : raw;
      return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
        ? { value: value as number }
        : { refused };
    },
    write: (value) => value,
  };
}

/** `auto` is left as it is: what it comes to depends on other options. */
export function countOrAuto(min: number, max: number): Kind<number | 'auto'> {
  const number = count(min, max);
  return {
    metavar: 'N|auto',
    range: `${min} to ${max}, or auto`,
    read(raw) {
      if (raw === 'auto') return { value: 'auto' };
      const reading = number.read(raw);
      return 'value' in reading ? reading : { refused: `${reading.refused}, or auto` };
    },
    write: (value) => value,
  };
}

export function choice<T extends string>(choices: readonly T[], metavar: string): Kind<T> {
  return {
    metavar,
    choices,
    read: (raw) => (choices.includes(raw as T) ? { value: raw as T } : { refused: `be ${oneOf(choices)}` }),
    write: (value) => value,
  };
}

const switches = new Map<unknown, boolean>([
  ...[true, 'true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...[false, 'false', '0', 'no', 'off'].map((word) => [word, false] as const),
]);

export const boolean: Kind<boolean> = {
  metavar: '',
  read(raw) {
    const value = switches.get(raw);
    return value === undefined ? { refused: 'be true or false' } : { value };
  },
  write: (value) => value,
};

/** The path of a file or directory. */
export const file: Kind<string> = {
  metavar: 'PATH',
  read: (raw) =>
    typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? { value: raw } : { refused: 'be a path' },
  write: (value) => value,
  rebase: (value, base, cwd) => (base === cwd ? value : path.resolve(base, value)),
};

/** Of a user or a group. */
export const name: Kind<string> = {
  metavar: 'NAME',
  read: (raw) =>
    /^[\w.][\w.@$-]{0,63}$/.test(String(raw)) ? { value: String(raw) } : { refused: 'be a name or a number' },
  write: (value) => value,
};

/** Permissions in octal, as of chmod(1). */
export const mode: Kind<number> = {
  metavar: 'MODE',
  range: '000 to 777',
  read: (raw) =>
    typeof raw === 'string' && /^0?[0-7]{1,3}$/.test(raw)
      ? { value: Number.parseInt(String(raw), 8) }
      : { refused: "be text with a mode in octal, as in '660'" },
  write: (value) => value.toString(8).padStart(3, '0'),
};

/** The target of a request (RFC 9112, section 3.2.1). */
export const target: Kind<string> = {
  metavar: 'PATH',
  read(raw) {
    const text = String(raw);
    return /^\/[\x21-\x7e]*$/.test(text)
      ? { value: text }
      : { refused: 'be a path on the server, with its query if it has one, such as /search?q=x' };
  },
  write: (value) => value,
};

/** A file, `-` for standard output, or `off`, which reads as undefined. */
export const outlet: Kind<string | undefined> = {
  metavar: 'PATH|-|off',
  read: (raw) => {
    if (raw === 'off' || raw === false) return { value: undefined };
    return raw === '-' ? { value: '-' } : file.read(raw);
  },
  write: (value) => value ?? 'off',
  rebase: (value, base, cwd) =>
    value === undefined || value === '-' ? value : (file.rebase?.(value, base, cwd) ?? value),
};

export const addresses: Kind<readonly Address[]> = {
  ...list('ADDRESS', (item) => readAddress(typeof item === 'number' ? String(item) : item), formatAddress),
  rebase: (value, base, cwd) =>
    value.map((address) =>
      address.kind === 'unix' && base !== cwd ? { kind: 'unix', path: path.resolve(base, address.path) } : address,
    ),
};

export const nodeArguments: Kind<readonly string[]> = list(
  'ARG',
  (item) =>
    typeof item === 'string' && item.startsWith('-')
      ? { value: item }
      : { refused: 'be an option of node, as in --node-arg=--max-old-space-size=512' },
  (item) => item,
);

/** Refuses a list with the first refusal among its items. */
function list<T>(
  metavar: string,
  readItem: (item: string | number) => Reading<T>,
  writeItem: (item: T) => string,
): Kind<readonly T[]> {
  return {
    metavar,
    repeatable: true,
    read(raw) {
      const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
      const value: T[] = [];
      for (const item of items) {
        if (typeof item !== 'string' && typeof item !== 'number') {
          return { refused: 'be text, or a list of texts', offender: item };
        }
        const reading = readItem(item);
        if ('refused' in reading) return { refused: reading.refused, offender: item };
        value.push(reading.value);
      }
      return value.length > 0 ? { value } : { refused: 'have at least one value' };
    },
    write: (value) => value.map(writeItem),
  };
}

/** Items between commas, each read by `readItem`; at least one, none twice. */
export function commaList<T extends string | number>(
  metavar: string,
  readItem: (text: string) => Reading<T>,
): Kind<readonly T[]> {
  return {
    metavar,
    read(raw) {
      const value: T[] = [];
      for (const text of String(raw).split(',')) {
        const reading = readItem(text.trim());
        if ('refused' in reading) return { refused: reading.refused, offender: text };
        if (value.includes(reading.value)) return { refused: 'name nothing twice', offender: text };
        value.push(reading.value);
      }
      return { value };
    },
    write: (value) => value.join(','),
  };
}

/** One of a list of names, which whoever asks for them checks. */
export const word = (text: string): Reading<string> =>
  /^[\w-]+$/.test(text) ? { value: text } : { refused: 'be names with commas between them' };

/** `a, b or c`. */
export function oneOf(words: readonly string[], conjunction: 'or' | 'and' = 'or'): string {
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}` : `${words[0]}`;
}
