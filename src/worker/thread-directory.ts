// `process.chdir` in a thread, where Node has none, because the working directory is that of the process with all its
// threads. Apps that call it nearly always go to their own folder, or to where they are: then all their threads want the same.
import path from 'node:path';
import { locateApp } from '../config/app-path.js';

/**
 * @param app as in the settings of a worker
 * @param move has the process go to a directory, and returns when it has tried
 */
export function allowChdir(app: string | undefined, move: (directory: string) => void): void {
  const unsupported = process.chdir;
  const location = app === undefined ? undefined : locateApp(app, '/');
  const home = location && path.dirname(location.file);
  const start = process.cwd();
  let hasMoved = false;
  process.chdir = (directory) => {
    const to = path.resolve(directory);
    if (to === process.cwd()) return;
    // Another thread of the app has gone home since this one has asked where it is.
    if (to === start && !hasMoved) return;
    if (to === home) {
      hasMoved = true;
      move(to);
    }
    if (to !== process.cwd()) unsupported.call(process, directory);
  };
}
