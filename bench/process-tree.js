// What a server has used, from /proc (proc(5)): processor time of its process and all below it, and memory.
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Processor time of the tree so far in seconds, with that of children that have ended and were waited for. */
export function cpuSeconds(pid) {
  return tree(pid).reduce((sum, one) => sum + one.ticks, 0) / ticksPerSecond;
}

/** Proportional set size of one process in bytes. */
export function proportionalMemory(pid) {
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** The sum of it over the process and all below it, in bytes: what they share counts once. */
export function proportionalMemoryOfTree(pid) {
  return tree(pid).reduce((sum, one) => sum + proportionalMemory(one.pid), 0);
}

export function childrenOf(pid) {
  return tree(pid).length - 1;
}

function tree(root) {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => stat(Number(name)) ?? []);
  const found = all.filter(({ pid }) => pid === root);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, so count from behind it: fields 4 and 14 to 17.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { pid, parent: Number(fields[1]), ticks };
  } catch {
    return undefined; // it has ended between the listing and the look
  }
}
