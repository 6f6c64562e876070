// The file of a Unix socket that several processes listen on. Many apps remove it before they listen, as a server that was
// killed leaves it behind: with a second name for it, it can be put back when the next process of the app has done so.
import { linkSync, rmSync, statSync } from 'node:fs';

/** Called when the socket has been bound. Without a second name the socket serves as well. */
export function keepSecondName(path: string): void {
  try {
    const name = secondName(path);
    rmSync(name, { force: true }); // of a server that was killed
    linkSync(path, name);
  } catch {} // a file system without hard links
}

/** Puts the file back if it has been removed. @returns the code of the error if the path leads nowhere any more (ELOOP) */
export function putBack(path: string): string | undefined {
  try {
    statSync(path);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') return code;
  }
  try {
    linkSync(secondName(path), path);
  } catch {} // as above
  return undefined;
}

/** Called when the socket is closed for good. What others have put there instead stays. */
export function removeSecondName(path: string): void {
  try {
    rmSync(secondName(path), { force: true });
  } catch {} // a folder has its name, or the folder around it may not be written any more
}

const secondName = (path: string): string => `${path}.mpserve`;
