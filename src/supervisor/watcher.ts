// Watches files and directories for --watch, and names a file that has changed when the changes have paused. Does not
// know what is done about it. Not a recursive fs.watch(): on Linux Node 20 watches each file with it, those of
// node_modules as well.
import { type FSWatcher, lstatSync, readdirSync, type Stats, statSync, watch } from 'node:fs';
import path from 'node:path';
import { configError } from '../errors.js';

export interface WatcherOptions {
  /** Files and directories. */
  readonly paths: readonly string[];
  /** Of `paths`, for error messages. */
  readonly source: string;
  /** Paths of files that the server itself writes; a suffix after a dot is ignored, too. */
  readonly ownFiles: readonly string[];
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** Called with the path of one of the changed files. Changes meanwhile are reported when the promise has settled. */
  readonly onChange: (file: string) => Promise<void>;
  /** Called when a directory cannot be watched. */
  readonly onFailure: (reason: string) => void;
}

/** An editor, a compiler or git writes several files one after another; they are one change (milliseconds). */
const quietMs = 100;
const ignoredDirectories = ['node_modules', '.git'];
/** Files that editors write beside the one that is edited, and logs. */
const ignoredFiles = /^\.#|~$|^\..*\.sw[a-z]$|^4913$|\.log$/;

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #ownFiles: readonly string[];
  /** By directory; by path and a null byte for one of which only that entry is watched. */
  readonly #directories = new Map<string, FSWatcher>();
  /** What is known of each file, by path: an event may also come for one that is only read or has vanished. */
  readonly #versions = new Map<string, string>();
  readonly #touched = new Set<string>();
  #quiet: NodeJS.Timeout | undefined;
  #changed: string | undefined;
  #isReporting = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#ownFiles = options.ownFiles.map((file) => path.resolve(file));
  }

  /** @throws StartupError if a path does not exist */
  start(): void {
    const { paths, source, signal } = this.#options;
    for (const root of paths.map((one) => path.resolve(one))) {
      if (!statOf(root)) throw configError(`${source} names no file or directory: '${root}'`);
      this.#update(root, true);
      // Its entry, too: editors replace a file, and compilers their output directory.
      this.#watch(path.dirname(root), path.basename(root));
    }
    signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  /** @param only an entry of the directory; default: all of them */
  #watch(directory: string, only?: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, (type, name) => {
        if (only !== undefined && name !== only) return;
        const file = name === null ? directory : path.join(directory, name);
        if (type === 'rename') this.#unwatch(file); // another directory may have the same inode
        this.#touch(file);
      });
      watcher.on('error', () => watcher.close()); // its directory was removed
      const key = only === undefined ? directory : `${path.join(directory, only)}\0`;
      this.#unwatch(key);
      this.#directories.set(key, watcher);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#options.onFailure(`cannot watch ${directory} for changes: ${reasons[code ?? ''] ?? message}`);
    }
  }

  #touch(file: string): void {
    if (this.#isIgnored(file)) return;
    this.#touched.add(file);
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#settle(), quietMs);
  }

  #settle(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const file of touched) this.#changed = this.#update(file) ?? this.#changed;
    void this.#report();
  }

  async #report(): Promise<void> {
    if (this.#isReporting) return;
    this.#isReporting = true;
    while (this.#changed !== undefined && !this.#options.signal.aborted) {
      const file = this.#changed;
      this.#changed = undefined;
      await this.#options.onChange(file);
    }
    this.#isReporting = false;
  }

  /** Looks at a file, or at a directory that is new. @returns a file that has changed since it was last looked at */
  #update(file: string, isRoot = false): string | undefined {
    const stat = statOf(file, !isRoot);
    if (!stat) return this.#forget(file);
    if (!stat.isDirectory()) {
      const version = `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
      const isChanged = this.#versions.get(file) !== version;
      this.#versions.set(file, version);
      return isChanged ? file : undefined;
    }
    if (this.#directories.has(file)) return undefined;
    this.#watch(file);
    let changed: string | undefined;
    for (const name of entriesOf(file)) {
      const entry = path.join(file, name);
      if (!this.#isIgnored(entry)) changed = this.#update(entry) ?? changed;
    }
    return changed;
  }

  /** For a file or directory that has been removed. @returns a file of it that was known */
  #forget(removed: string): string | undefined {
    let known: string | undefined;
    const isInside = (file: string): boolean => file === removed || file.startsWith(removed + path.sep);
    for (const file of this.#versions.keys()) {
      if (!isInside(file)) continue;
      this.#versions.delete(file);
      known = file;
    }
    for (const directory of this.#directories.keys()) if (isInside(directory)) this.#unwatch(directory);
    return known;
  }

  #unwatch(directory: string): void {
    this.#directories.get(directory)?.close();
    this.#directories.delete(directory);
  }

  #isIgnored(file: string): boolean {
    const name = path.basename(file);
    return (
      ignoredDirectories.includes(name) ||
      ignoredFiles.test(name) ||
      this.#ownFiles.some((own) => file === own || file.startsWith(`${own}.`))
    );
  }

  #close(): void {
    clearTimeout(this.#quiet);
    for (const watcher of this.#directories.values()) watcher.close();
  }
}

/** @param skipsLinkedDirectories they may lead back to where they are */
function statOf(file: string, skipsLinkedDirectories = false): Stats | undefined {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    const isSkipped = skipsLinkedDirectories && stat?.isDirectory() && lstatSync(file).isSymbolicLink();
    return isSkipped ? undefined : stat;
  } catch {
    return undefined; // this user may not read it
  }
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // it was removed meanwhile, or this user may not read it
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the system allows no more watches; raise fs.inotify.max_user_watches, or name fewer directories',
  EMFILE: 'the system allows no more watchers; raise fs.inotify.max_user_instances',
  EACCES: 'permission denied',
};
