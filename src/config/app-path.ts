// Whether the app that a user named is there, looked up before anything starts. Loads nothing and decides nothing
// about its kind: that is for whoever runs it.
import { existsSync } from 'node:fs';
import path from 'node:path';

/** What may be left off the name of a file, as with `node FILE`. */
export const appExtensions = ['.js', '.mjs', '.cjs', '.ts'] as const;

/**
 * `app` (a file, `file#export` or a directory, relative to `cwd`) with the extension that was left off; undefined
 * if it is not there.
 */
export function findApp(app: string, cwd: string): string | undefined {
  const hash = app.lastIndexOf('#');
  // A whole name comes first: `#` is allowed in file names.
  const splits = [[app, ''], ...(hash > 0 ? [[app.slice(0, hash), app.slice(hash)]] : [])] as const;
  for (const [name = '', exported = ''] of splits) {
    const extension = ['', ...appExtensions].find((extension) => existsSync(path.resolve(cwd, name + extension)));
    if (extension !== undefined) return name + extension + exported;
  }
  return undefined;
}
