// The types of option values: how each is parsed from text or from a configuration file, what it refuses, and how it is
// formatted. Knows no option by name.
import path from 'node:path';
import { isNetwork, networkNames } from '../client/networks.js';
import { readSessionRule, type SessionRule, writeSessionRule } from '../client/session-rule.js';
import { type Coding, codings, madeCodings } from '../http/coding-name.js';
import { type Address, formatAddress, readAddress, readHost } from './address.js';
import type { Reading } from './reading.js';

/** A value in a configuration file. */
export type Written = string | number | boolean | readonly (string | number | object)[];

/** `W` is the type of the values in a configuration file. */
export interface Kind<T, W extends Written = Written> {
  /** Placeholder for the value in `--help`. */
  readonly metavar: string;
  readonly choices?: readonly string[];
  /** The allowed values in words, if `choices` does not list them. */
  readonly range?: string;
  /** Without `choices`: words for which what it refuses may be a mistake. */
  readonly known?: readonly string[];
  /** The value of the flag if it is given without one; another one then needs `=`. */
  readonly ifBare?: string;
  /** The flag may be repeated; white space separates the items in a variable. */
  readonly repeatable?: true;
  /** Parses a string from the command line or a variable, or any value from a configuration file. */
  read(raw: unknown): Reading<T>;
  /** Formats the value as a configuration file holds it; `read` parses the result to the same value. */
  write(value: T): W;
  /** As `write`, without passwords, for people; absent for a value that has none. */
  show?(value: T): W;
  /** Converts a path that is relative to `base` to one that is valid in `cwd`. */
  rebase?(value: T, base: string, cwd: string): T;
}

export function count(min: number, max: number): Kind<number, number> {
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

/** Keeps `auto` as it is: its value depends on other options. */
export function countOrAuto(min: number, max: number): Kind<number | 'auto', number | 'auto'> {
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

export function choice<const T extends string>(choices: readonly T[], metavar: string): Kind<T, T> {
  return {
    metavar,
    choices,
    read: (raw) => (choices.includes(raw as T) ? { value: raw as T } : { refused: `be ${oneOf(choices)}` }),
    write: (value) => value,
  };
}

/** A word of `choices`, or the number of a port. */
export function choiceOrPort<const T extends string>(choices: readonly T[]): Kind<T | number, T | number> {
  const port = count(1, 65_535);
  return {
    metavar: `${choices.join('|')}|PORT`,
    range: `${choices.join(', ')}, or a port`,
    read(raw) {
      if (choices.includes(raw as T)) return { value: raw as T };
      const reading = port.read(raw);
      return 'value' in reading ? reading : { refused: `be ${choices.join(', ')} or a port` };
    },
    write: (value) => value,
  };
}

const switches = new Map<unknown, boolean>([
  ...[true, 'true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...[false, 'false', '0', 'no', 'off'].map((word) => [word, false] as const),
]);

export const boolean: Kind<boolean, boolean> = {
  metavar: '',
  read(raw) {
    const value = switches.get(raw);
    return value === undefined ? { refused: 'be true or false' } : { value };
  },
  write: (value) => value,
};

/** The path of a file or directory. */
export const file: Kind<string, string> = {
  metavar: 'PATH',
  read: (raw) =>
    typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? { value: raw } : { refused: 'be a path' },
  write: (value) => value,
  rebase: (value, base, cwd) => (base === cwd ? value : path.resolve(base, value)),
};

/** The paths of files or directories. */
export const files: Kind<readonly string[], string | readonly string[]> = {
  ...list(
    'PATH',
    (item) => file.read(item),
    (item) => item,
  ),
  rebase: (value, base, cwd) => (base === cwd ? value : value.map((one) => path.resolve(base, one))),
};

/** Files and directories to watch; the flag alone, or true in a file, is the current directory. */
export const watched: Kind<readonly string[], boolean | string | readonly string[]> = {
  ...files,
  metavar: 'PATH',
  ifBare: '.',
  read(raw) {
    const [one, ...others] = Array.isArray(raw) ? raw : [raw];
    const isOn = others.length === 0 ? switches.get(one) : undefined;
    if (isOn === undefined) return files.read(raw);
    return { value: isOn ? ['.'] : [] };
  },
  write: (value) => (value.length > 0 ? value : false),
};

/** Text that matches `pattern`. */
export function text(metavar: string, pattern: RegExp, refused: string): Kind<string, string> {
  return {
    metavar,
    read: (raw) => (pattern.test(String(raw)) ? { value: String(raw) } : { refused }),
    write: (value) => value,
  };
}

/** The name or number of a user or a group. */
export const name = text('NAME', /^[\w.][\w.@$-]{0,63}$/, 'be a name or a number');

/** Permissions in octal, as in chmod(1). */
export const mode: Kind<number, string> = {
  metavar: 'MODE',
  range: '000 to 777',
  read: (raw) =>
    typeof raw === 'string' && /^0?[0-7]{1,3}$/.test(raw)
      ? { value: Number.parseInt(String(raw), 8) }
      : { refused: "be a string with a mode in octal, as in '660'" },
  write: (value) => value.toString(8).padStart(3, '0'),
};

/** A request target in origin form (RFC 9112, section 3.2.1). */
export const target = text(
  'PATH',
  /^\/[\x21-\x7e]*$/,
  'be a path on the server, with an optional query, such as /search?q=x',
);

/** A log destination: a file, `-` for standard output, or `off`, which is parsed to undefined. */
export const logFile: Kind<string, string> = {
  ...file,
  metavar: 'PATH|-',
  read: (raw) => (raw === '-' ? { value: '/dev/stdout' } : file.read(raw)),
};

export const logDestination: Kind<string | undefined, string | false> = {
  metavar: 'PATH|-|off',
  read: (raw) => {
    if (raw === 'off' || raw === false) return { value: undefined };
    return raw === '-' ? { value: '-' } : file.read(raw);
  },
  write: (value) => value ?? 'off',
  rebase: (value, base, cwd) =>
    value === undefined || value === '-' ? value : (file.rebase?.(value, base, cwd) ?? value),
};

export const addresses: Kind<readonly Address[], string | number | readonly (string | number)[]> = {
  ...list('ADDRESS', (item) => readAddress(typeof item === 'number' ? String(item) : item), formatAddress),
  rebase: (value, base, cwd) =>
    value.map((address) =>
      address.kind === 'unix' && base !== cwd ? { kind: 'unix', path: path.resolve(base, address.path) } : address,
    ),
};

/** One address to listen on. */
export const address: Kind<Address, string | number> = {
  metavar: 'ADDRESS',
  read: (raw) => readAddress(String(raw)),
  write: formatAddress,
  rebase: (value, base, cwd) =>
    value.kind === 'unix' && base !== cwd ? { kind: 'unix', path: path.resolve(base, value.path) } : value,
};

/** A host name or an IP address. */
export const host: Kind<string, string> = {
  metavar: 'HOST',
  read: (raw) => readHost(String(raw)),
  write: (value) => value,
};

export const nodeArguments: Kind<readonly string[], string | readonly string[]> = list(
  'ARG',
  (item) =>
    typeof item === 'string' && item.startsWith('-')
      ? { value: item }
      : { refused: 'be an option of node, as in --node-arg=--max-old-space-size=512' },
  (item) => item,
);

/** A list of items, each parsed by `readItem`; refused with the reason of the first item that is refused. */
export function list<T>(
  metavar: string,
  readItem: (item: string | number) => Reading<T>,
  writeItem: (item: T) => string,
): Kind<readonly T[], readonly string[]> {
  return {
    metavar,
    repeatable: true,
    read(raw) {
      const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
      const value: T[] = [];
      for (const item of items) {
        if (typeof item !== 'string' && typeof item !== 'number') {
          return { refused: 'be a string or a list of strings', offender: item };
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

/** Comma-separated items, each parsed by `readItem`; at least one, without duplicates. */
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
        if (value.includes(reading.value)) return { refused: 'name each item once', offender: text };
        value.push(reading.value);
      }
      return { value };
    },
    write: (value) => value.join(','),
  };
}

/** Comma-separated shares; none is an empty list. */
export const weights: Kind<readonly number[], string | readonly number[]> = {
  metavar: 'N,N',
  range: '1 to 1000 each',
  read(raw) {
    const share = count(1, 1000);
    const items: readonly unknown[] = Array.isArray(raw) ? raw : String(raw).split(',');
    const value: number[] = [];
    for (const item of items) {
      const reading = share.read(typeof item === 'string' ? item.trim() : item);
      if ('refused' in reading) return { refused: 'be integers from 1 to 1000, separated by commas', offender: item };
      value.push(reading.value);
    }
    return { value };
  },
  write: (value) => value,
};

/** Where a session has its name. */
export const session: Kind<SessionRule, string> = {
  metavar: 'WHERE',
  range: 'ip, cookie:NAME, query:NAME or header:NAME',
  read(raw) {
    const value = typeof raw === 'string' ? readSessionRule(raw) : undefined;
    return value ? { value } : { refused: 'be ip, cookie:NAME, query:NAME or header:NAME, as in cookie:sid' };
  },
  write: writeSessionRule,
};

/** Networks of IP addresses, separated by commas or in several flags. */
export const networks = separated('NETWORK', (item) =>
  isNetwork(item)
    ? { value: item }
    : { refused: `be ${networkNames.join(', ')}, an IP address, or a network such as 10.0.0.0/8` },
);

/** Paths on the server without a query, separated by commas or in several flags. */
export const paths = separated('PATH', (item) =>
  /^\/[\x21-\x7e]*$/.test(item) && !/[?#]/.test(item)
    ? { value: item }
    : { refused: 'be a path on the server that starts with /, such as /healthz, without a query' },
);

/** Names of cookies (RFC 6265, section 4.1.1), separated by commas or in several flags. */
export const cookieNames = separated('NAME', (item) =>
  /^[!#$%&'*+.^`|~\w-]+$/.test(item) ? { value: item } : { refused: 'be the name of a cookie, such as sid' },
);

/** Names of query parameters and headers, separated by commas or in several flags. */
export const redactedNames = separated('NAME', (item) =>
  /^[!#$%'*+.^`|~\w[\]-]{1,256}$/.test(item)
    ? { value: item }
    : { refused: 'be the name of a query parameter or a header, such as token or authorization' },
);

/** Content codings, those that are preferred first; `on`, or true in a file, is all that this Node can make. */
export const codingList: Kind<readonly Coding[], boolean | string | readonly string[]> = {
  metavar: 'CODINGS',
  range: `${codings.join(', ')} with commas; on or off`,
  read(raw) {
    const [one, ...others] = Array.isArray(raw) ? raw : [raw];
    const isOn = others.length === 0 ? switches.get(one) : undefined;
    if (isOn !== undefined) return { value: isOn ? madeCodings : [] };
    if (Array.isArray(raw) && raw.length === 0) return { value: [] };
    const refused = `be ${oneOf(codings)}, several separated by commas, or on or off`;
    const list = commaList<Coding>('CODINGS', (text) =>
      codings.includes(text as Coding) ? { value: text as Coding } : { refused },
    );
    return list.read(Array.isArray(raw) ? raw.join() : raw);
  },
  write: (value) => (value.length > 0 ? value : false),
};

/** Strings, separated by commas or in several flags. */
function separated(
  metavar: string,
  readItem: (item: string) => Reading<string>,
): Kind<readonly string[], string | readonly string[]> {
  const strings = list<string>(
    metavar,
    (item) => readItem(String(item)),
    (item) => item,
  );
  return {
    ...strings,
    read(raw) {
      const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
      return strings.read(items.flatMap((item) => (typeof item === 'string' ? item.split(/,\s*/) : item)));
    },
  };
}

/** An item of a comma-separated list of names. The command that has the option checks that the name exists. */
export const word = (text: string): Reading<string> =>
  /^[\w/-]+$/.test(text) ? { value: text } : { refused: 'be names separated by commas' };

/** `a, b or c`. */
export function oneOf(words: readonly string[], conjunction: 'or' | 'and' = 'or'): string {
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}` : `${words[0]}`;
}
