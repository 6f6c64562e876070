// The directory that files are served from. It opens nothing outside of it, also not by symbolic links.
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { isSameVersion, OpenFile, statOf, versionOf } from './file.js';

/** Why there is no file. */
export type NoFile = 'missing' | 'directory' | 'forbidden';

const reasons: Readonly<Record<string, NoFile>> = {
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  ENAMETOOLONG: 'missing',
  ELOOP: 'missing',
  EINVAL: 'missing',
  EILSEQ: 'missing',
  ENXIO: 'missing', // a socket
  ENODEV: 'missing',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
};

export class Root {
  readonly dir: string;

  /** @param dir absolute; it may be a symbolic link, which may come to point elsewhere */
  constructor(dir: string) {
    this.dir = path.resolve(dir);
  }

  /** @param name starts with a slash, and has no dots as segments */
  pathOf(name: string): string {
    return this.dir === '/' ? name : this.dir + name;
  }

  /**
   * The caller closes the file. Rejects with the error of the system if it has no descriptor or memory left, or cannot read
   * its disk.
   */
  async open(name: string): Promise<OpenFile | NoFile> {
    let file: OpenFile;
    try {
      file = await OpenFile.open(this.pathOf(name));
    } catch (error) {
      const reason = reasons[(error as NodeJS.ErrnoException).code ?? ''];
      if (!reason) throw error;
      return reason;
    }
    const { stat } = file;
    const isInside = await this.#hasInside(file, name).catch(() => false);
    if (isInside && stat.isFile()) return file;
    file.close();
    return isInside && stat.isDirectory() ? 'directory' : 'missing';
  }

  /** Whether the target of a symbolic link is inside. */
  async contains(name: string): Promise<boolean> {
    return realpath(this.pathOf(name)).then(
      (real) => this.#isInside(real),
      () => false,
    );
  }

  /** Of the file that is open: its name may lead elsewhere by now. */
  async #hasInside(file: OpenFile, name: string): Promise<boolean> {
    const real = await file.realPath();
    if (real !== undefined) return this.#isInside(real);
    const found = await realpath(this.pathOf(name));
    const stat = await statOf(found);
    return stat !== undefined && isSameVersion(versionOf(stat), file.version) && this.#isInside(found);
  }

  async #isInside(real: string): Promise<boolean> {
    return isBelow(real, await realpath(this.dir)); // it may be a link, which has changed
  }
}

function isBelow(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? outer : `${outer}/`);
}
