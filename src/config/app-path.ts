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
 * Looks for `app` relative to `cwd`; undefined if it does not exist. Throws the error of stat(2) if the path is not
 * accessible.
 */
export function locateApp(app: string, cwd: string): AppLocation | undefined {
  const hash = app.lastIndexOf('#');
  // The whole text comes first, because file names may contain `#`.
  const candidates: (readonly [name: string, exported?: string])[] = [[app]];
  if (hash > 0) candidates.push([app.slice(0, hash), app.slice(hash + 1)]);
  for (const [name, exported] of candidates) {
    for (const extension of ['', ...appExtensions]) {
      const file = name + extension;
      const found = statSync(path.resolve(cwd, file), { throwIfNoEntry: false });
      if (found && (extension === '' || found.isFile())) {
        return { file, exported: exported || undefined, isDirectory: found.isDirectory() };
      }
    }
  }
  return undefined;
}

/**
 * Resolves `app` to an absolute path without symbolic links, so that a worker that loads it later, after a link was
 * changed to another release, still loads this release. The path of a directory of static files keeps its links. Throws
 * if the path is not accessible.
 */
export function releaseOf(app: string, cwd: string): string {
  const location = locateApp(app, cwd);
  if (!location || location.isDirectory) return path.resolve(cwd, app);
  const file = realpathSync(path.resolve(cwd, location.file));
  return location.exported === undefined ? file : `${file}#${location.exported}`;
}

/** `app` with its extension; undefined if it does not exist. Throws like `locateApp`. */
export function findApp(app: string, cwd: string): string | undefined {
  const location = locateApp(app, cwd);
  return location && (location.exported === undefined ? location.file : `${location.file}#${location.exported}`);
}
