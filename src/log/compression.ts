// Compresses a rotated file in a process of its own. The result has its name only when it is whole, and the original is
// deleted after that: at each moment one of both is there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hasWriters } from '../os/descriptor.js';
import { compressedNames } from './rotated-files.js';

const entry = fileURLToPath(new URL('../log/gzip-main.js', import.meta.url));

/**
 * @param path of the rotated file
 * @returns `written`: some process still writes to the file, so it was left as it is
 * @throws Error; the file is as before
 */
export async function compress(path: string, signal: AbortSignal): Promise<'compressed' | 'written'> {
  const { unfinished, whole } = compressedNames(path);
  // Other users may write to the directory: no link is followed, and a pipe without a writer is not waited for.
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const from = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  let to: number | undefined;
  try {
    const status = fstatSync(from);
    const { mode, uid, gid, atime, mtime, nlink } = status;
    if (!status.isFile() || nlink !== 1) throw new Error(`${path} is not a regular file, or has hard links`);
    if (hasWriters(from)) return 'written';
    to = openSync(unfinished, 'wx', 0o600);
    await gzip(from, to, signal);
    fchownSync(to, uid, gid);
    fchmodSync(to, mode & 0o777);
    futimesSync(to, atime, mtime);
    renameSync(unfinished, whole);
    to = close(to);
    unlinkSync(path);
    return 'compressed';
  } finally {
    closeSync(from);
    if (to !== undefined) {
      close(to);
      rmSync(unfinished, { force: true });
    }
  }
}

async function gzip(from: number, to: number, signal: AbortSignal): Promise<void> {
  // Ctrl-C on the terminal is for the supervisor, and its options of node are not for this process.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const child = spawn(process.execPath, [entry], { stdio: [from, to, 'pipe', 'pipe'], env, detached: true, signal });
  let reason = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    reason = (reason + text).slice(0, 1000);
  });
  const [code, ended] = await once(child, 'close');
  if (code !== 0) throw new Error(`cannot compress it: ${reason || `the process ended with ${code ?? ended}`}`);
}

function close(fd: number): undefined {
  closeSync(fd);
}
