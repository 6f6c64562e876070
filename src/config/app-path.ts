// Finds the app that the user named: a file, `file#export` or a directory. Does not load the app, and does not decide
// what kind of app it is: src/app does.
import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';

/** Extensions that the user may omit, as with `node FILE`. */
export const appExtensions = ['.js', '.mjs', '.cjs', '.ts'] as const;

export interface AppLocation {
  /** The path as the user gave it, with its extension added if it was omitted. */
  readonly file: string;
  /** The name after the `#`. */
  readonly exported: string | undefined;
  readonly isDirectory: boolean;
}

/**
 * Looks for `app` relative to `cwd`; undefined if it does not exist. As with `node FILE`, a file that needs an extension
 * comes before a directory, unless the name ends in a slash. Throws the error of stat(2) if the path is not
 * accessible.
 */
export function locateApp(app: string, cwd: string): AppLocation | undefined {
  const hash = app.lastIndexOf('#');
  // The whole text comes first, because file names may contain `#`.
  const candidates: (readonly [name: string, exported?: string])[] = [[app]];
  if (hash > 0) candidates.push([app.slice(0, hash), app.slice(hash + 1)]);
  for (const [name, exported] of candidates) {
    const given = statSync(path.resolve(cwd, name), { throwIfNoEntry: false });
    const isDirectory = given?.isDirectory() ?? false;
    const completed = given && !isDirectory ? name : withExtension(name, cwd);
    if (completed !== undefined) return { file: completed, exported: exported || undefined, isDirectory: false };
    if (isDirectory) return { file: name, exported: exported || undefined, isDirectory };
  }
  return undefined;
}

function withExtension(name: string, cwd: string): string | undefined {
  return appExtensions
    .map((extension) => name + extension)
    .find((file) => statSync(path.resolve(cwd, file), { throwIfNoEntry: false })?.isFile());
}

/**
 * Resolves `app` to an absolute path without symbolic links, so that a worker that loads it later, after a link was
 * changed to another release, still loads this release. The path of a directory of static files keeps its links, and ends in
 * a slash, so that no file of a similar name is taken for it. Throws if the path is not accessible.
 */
export function releaseOf(app: string, cwd: string): string {
  const location = locateApp(app, cwd);
  if (!location) return path.resolve(cwd, app);
  if (location.isDirectory) return absoluteApp(`${location.file}/`, cwd);
  const file = realpathSync(path.resolve(cwd, location.file));
  return location.exported === undefined ? file : `${file}#${location.exported}`;
}

/** The directory of static files that is the app. @param app absolute. @returns undefined if the app is a file, or none */
export function directoryOf(app: string | undefined): string | undefined {
  const location = app === undefined ? undefined : locateApp(app, '/');
  return location?.isDirectory ? location.file : undefined;
}

/** `app` as an absolute path, with the slash in which it may end. */
export function absoluteApp(app: string, directory: string): string {
  const absolute = path.resolve(directory, app);
  return app.endsWith('/') ? path.join(absolute, '/') : absolute;
}

/** `app` with its extension; undefined if it does not exist. Throws like `locateApp`. */
export function findApp(app: string, cwd: string): string | undefined {
  const location = locateApp(app, cwd);
  return location && (location.exported === undefined ? location.file : `${location.file}#${location.exported}`);
}
