// Which processes a server has started, read from /proc: live children by parent, and whatever carries the mark
// that was put into its environment, also after its parent has died. Where there is no /proc it sees nothing.
import { readdirSync, readFileSync } from 'node:fs';

/** The pids of all living descendants of `pid`, parents before children. */
export function descendants(pid: number): number[] {
  const children = childrenOf(pid);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** The pids of the living children of `pid`. */
export function childrenOf(pid: number): number[] {
  const found: number[] = [];
  for (const thread of listing(`/proc/${pid}/task`)) {
    found.push(...text(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
  }
  return found;
}

/** The pids of all living processes whose environment holds `NAME=value`. */
export function marked(mark: string): number[] {
  const pids = listing('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => text(`/proc/${pid}/environ`).split('\0').includes(mark) && !isZombie(pid)).map(Number);
}

export function isAlive(pid: number): boolean {
  return text(`/proc/${pid}/status`) !== '' && !isZombie(String(pid));
}

function isZombie(pid: string): boolean {
  return /^State:\s+[ZX]/m.test(text(`/proc/${pid}/status`));
}

// A process may go at any moment between the listing and the reading: then there is nothing to read.
function listing(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
