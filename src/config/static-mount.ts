// A directory of static files in front of the app (--static), written `/assets=./dist,immutable` or as an object.
import path from 'node:path';
import type { Kind } from './kind.js';
import type { Reading } from './reading.js';

export interface StaticMount {
  /** Starts with a slash; ends without one, unless it is `/`. */
  readonly path: string;
  /** Absolute, with its symbolic links. */
  readonly dir: string;
  /** Files never change under their names, so clients need not ask again. */
  readonly immutable: boolean;
  /** Unknown paths are pages of a single-page app, whose page is index.html. */
  readonly spa: boolean;
  /** A directory without index.html is listed. */
  readonly listing: boolean;
}

/** As a configuration file has it. */
export interface WrittenMount {
  readonly path: string;
  readonly dir: string;
  readonly immutable?: boolean;
  readonly spa?: boolean;
  readonly listing?: boolean;
}

const flags = ['immutable', 'spa', 'listing'] as const;
const shape = new RegExp(`^(/[^=]*)=(.+?)((?:,(?:${flags.join('|')}))*)$`, 's');
/** Without a query, percent signs, empty segments and dots, so that it is the text of a decoded path. */
const pathShape = /^\/(?:[\w~!$&'()*+,;:@-][\w.~!$&'()*+,;:@-]*(?:\/[\w~!$&'()*+,;:@-][\w.~!$&'()*+,;:@-]*)*\/?)?$/;

export const staticMounts: Kind<readonly StaticMount[], string | readonly (string | WrittenMount)[]> = {
  metavar: 'PATH=DIR',
  repeatable: true,
  read(raw) {
    const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
    const value: StaticMount[] = [];
    for (const item of items) {
      const reading = typeof item === 'string' ? fromText(item) : fromObject(item);
      if ('refused' in reading) return { refused: reading.refused, offender: item };
      value.push(reading.value);
    }
    const [one, other] = overlapping(value) ?? [];
    if (one && other)
      return { refused: `have paths that do not overlap; ${shown(one)} and ${shown(other)} do`, offender: other.path };
    return { value };
  },
  write: (value) =>
    value.map((mount) => ({
      path: mount.path,
      dir: mount.dir,
      ...Object.fromEntries(flags.filter((flag) => mount[flag]).map((flag) => [flag, true])),
    })),
  rebase: (value, base) => value.map((mount) => ({ ...mount, dir: path.resolve(base, mount.dir) })),
};

function fromText(text: string): Reading<StaticMount> {
  if (text.startsWith('{')) return fromJson(text);
  const [, at = '', dir = '', rest = ''] = shape.exec(text) ?? [];
  if (at === '') return { refused: 'be PATH=DIR, as in /assets=./dist or /assets=./dist,immutable' };
  return mountOf({
    path: at,
    dir,
    ...Object.fromEntries(
      rest
        .split(',')
        .slice(1)
        .map((flag) => [flag, true]),
    ),
  });
}

/** As a program passes an object by a flag. */
function fromJson(text: string): Reading<StaticMount> {
  try {
    return fromObject(JSON.parse(text));
  } catch {
    return fromObject(undefined);
  }
}

function fromObject(item: unknown): Reading<StaticMount> {
  const refused = { refused: `be PATH=DIR or an object with path, dir and perhaps ${flags.join(', ')}` };
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return refused;
  const known: readonly string[] = ['path', 'dir', ...flags];
  const unknown = Object.keys(item).find((key) => !known.includes(key));
  if (unknown !== undefined) return { refused: `have only the keys ${known.join(', ')}` };
  return mountOf(item as Readonly<Record<string, unknown>>);
}

function mountOf(given: Readonly<Record<string, unknown>>): Reading<StaticMount> {
  const { path: at, dir } = given;
  if (typeof at !== 'string' || !pathShape.test(at))
    return { refused: 'have a path on the server that starts with /, such as /assets, without a query or dotfiles' };
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0'))
    return { refused: 'have a directory, such as ./dist' };
  const wrong = flags.find((flag) => given[flag] !== undefined && typeof given[flag] !== 'boolean');
  if (wrong) return { refused: `have true or false as ${wrong}` };
  const [immutable, spa, listing] = flags.map((flag) => given[flag] === true) as [boolean, boolean, boolean];
  return { value: { path: at.length > 1 ? at.replace(/\/$/, '') : at, dir, immutable, spa, listing } };
}

/** Two of which one is below the other, or the same: which of them had a file would depend on their order. */
function overlapping(mounts: readonly StaticMount[]): readonly [StaticMount, StaticMount] | undefined {
  for (const [i, other] of mounts.entries()) {
    const one = mounts.slice(0, i).find((one) => isBelow(one.path, other.path) || isBelow(other.path, one.path));
    if (one) return [one, other];
  }
  return undefined;
}

function isBelow(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? outer : `${outer}/`);
}

function shown({ path: at, dir }: StaticMount): string {
  return `${at} (${dir})`;
}
