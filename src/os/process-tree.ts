// What a process and all below it have used, from /proc (proc(5)): processor time and memory. Linux only.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export const hasProc = existsSync('/proc/self/smaps_rollup');

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Of its own and of its children that have ended and were waited for. */
  readonly ticks: number;
  /** Its main thread computes, or would if it were given a processor. */
  readonly isRunning: boolean;
  /** Somebody has stopped it, by a signal or as its debugger. */
  readonly isStopped: boolean;
}

/** The process and all below it; empty when it is gone. */
export function processTree(root: number): readonly Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
  const found = all.filter(({ pid }) => pid === root);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

/** Processor time of the tree so far in seconds, with that of children that have ended and were waited for. */
export function cpuSeconds(root: number): number {
  return processTree(root).reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond;
}

/** The same of one process, and of its children that have ended. 0 when it is gone. */
export function ownCpuSeconds(pid: number): number {
  return (readProcess(pid)?.ticks ?? 0) / ticksPerSecond;
}

/** Somebody has stopped the process (SIGSTOP), or debugs it. */
export function isStopped(pid: number): boolean {
  return readProcess(pid)?.isStopped ?? false;
}

/**
 * Milliseconds in which the main thread of a process has wanted a processor so far, those in which it waited for one
 * included. undefined where that is not known.
 */
export function wantedCpuMs(pid: number): number | undefined {
  const [ran, waited] = read(`/proc/${pid}/schedstat`).split(' ').map(Number);
  return ran !== undefined && waited !== undefined ? (ran + waited) / 1e6 : undefined;
}

/** Proportional set size of one process in bytes: what several share counts in parts. 0 when it is gone. */
export function proportionalMemory(pid: number): number {
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** Resident set size of one process in bytes; cheap, and what several share counts in each. 0 when it is gone. */
export function residentMemory(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** The proportional one of the process and all below it: what they share counts once. */
export function memoryOfTree(root: number): number {
  return processTree(root).reduce((sum, { pid }) => sum + proportionalMemory(pid), 0);
}

/** Processor time in nanoseconds of each thread of `pid` so far, by its id; that of the main thread is `pid`. */
export function cpuOfThreads(pid: number): ReadonlyMap<number, number> {
  return new Map(
    threadsOf(pid).map((id) => [Number(id), Number(read(`/proc/${pid}/task/${id}/schedstat`).split(' ')[0])]),
  );
}

/** Their ids; none when the process is gone. */
function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** How often the threads of the process and of all below it have waited so far: after each wait comes a wake-up. */
export function wakeUpsOfTree(root: number): number {
  const waits = processTree(root).flatMap(({ pid }) =>
    threadsOf(pid).map((id) => /^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${id}/status`))?.[1]),
  );
  return waits.reduce((sum, count) => sum + Number(count ?? 0), 0);
}

function readProcess(pid: number): Process | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === '') return undefined; // it has ended between the listing and the look
  // The name in parentheses may hold anything, so count from behind it: fields 3, 4 and 14 to 17.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid, parent: Number(fields[1]), ticks, isRunning: fields[0] === 'R', isStopped: /t/i.test(fields[0] ?? '') };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
