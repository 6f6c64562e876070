// Where the app is that a user named: a file, `file#export` or a directory. Loads nothing and decides nothing about
// its kind: that is for whoever runs it.
import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';

/** What may be left off the name of a file, as with `node FILE`. */
export const appExtensions = ['.js', '.mjs', '.cjs', '.ts'] as const;

export interface AppPlace {
  /** As it was named, with the extension that was left off. */
  readonly file: string;
  /** After the `#`. */
  readonly exported: string | undefined;
  readonly isDirectory: boolean;
}

/** undefined if `app`, relative to `cwd`, is not there. Throws where the file system does not let us look. */
export function locateApp(app: string, cwd: string): AppPlace | undefined {
  const hash = app.lastIndexOf('#');
  // A whole name comes first: `#` is allowed in file names.
  const readings: (readonly [name: string, exported?: string])[] = [[app]];
  if (hash > 0) readings.push([app.slice(0, hash), app.slice(hash + 1)]);
  for (const [name, exported] of readings) {
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
 * `app` as an absolute path of which no part is a link: whoever loads it later, after a link was set to another
 * release, still gets this one. A directory of static files stays as it was named. Throws where the file system does not
 * let us look.
 */
export function releaseOf(app: string, cwd: string): string {
  const place = locateApp(app, cwd);
  if (!place || place.isDirectory) return path.resolve(cwd, app);
  const file = realpathSync(path.resolve(cwd, place.file));
  return place.exported === undefined ? file : `${file}#${place.exported}`;
}

/** `app` with the extension that was left off; undefined if it is not there. Throws as `locateApp` does. */
export function findApp(app: string, cwd: string): string | undefined {
  const place = locateApp(app, cwd);
  return place && (place.exported === undefined ? place.file : `${place.file}#${place.exported}`);
}
