// Reads files and folders that may be missing, or that may disappear meanwhile, as those of a process in /proc do.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** '' if the file cannot be read. */
export function readText(file: string): string {
  try {
    // Many files are missing, and creating an error takes longer than this check.
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}

/** None if the folder cannot be read. */
export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
