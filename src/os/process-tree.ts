// CPU time and memory of processes and of process trees, from /proc (proc(5)). Linux only.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { namesIn, readText } from './files.js';

export const hasProc = existsSync('/proc/self/smaps_rollup');

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** CPU time of the process and of its children that have exited and were waited for. */
  readonly ticks: number;
  /** Its main thread runs, or waits for a processor. */
  readonly isRunning: boolean;
  /** By SIGSTOP or a debugger. */
  readonly isStopped: boolean;
  /** It has ended, and its parent has not taken its status. */
  readonly hasEnded: boolean;
}

/** The process and its descendants; empty if it has exited. */
export function processTree(root: number): readonly Process[] {
  const all = allProcesses();
  const found = all.filter(({ pid }) => pid === root);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

/** Children of the process that have ended, and whose status it has not taken. */
export function endedChildren(of: number): readonly number[] {
  return allProcesses().flatMap(({ pid, parent, hasEnded }) => (parent === of && hasEnded ? pid : []));
}

function allProcesses(): readonly Process[] {
  return namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** CPU time of the process and its descendants in seconds, including children that have exited and were waited for. */
export function cpuSeconds(root: number): number {
  return processTree(root).reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond;
}

/** The same without living descendants; 0 if the process has exited. */
export function ownCpuSeconds(pid: number): number {
  return (readProcess(pid)?.ticks ?? 0) / ticksPerSecond;
}

/** Whether SIGSTOP or a debugger has stopped the process. */
export function isStopped(pid: number): boolean {
  return readProcess(pid)?.isStopped ?? false;
}

/** Milliseconds that the main thread of a process has run or waited for a processor; undefined if unknown. */
export function wantedCpuMs(pid: number): number | undefined {
  const [ran, waited] = readText(`/proc/${pid}/schedstat`).split(' ').map(Number);
  return ran !== undefined && waited !== undefined ? (ran + waited) / 1e6 : undefined;
}

/** Proportional set size in bytes: shared pages count in part. 0 if the process has exited. */
export function proportionalMemory(pid: number): number {
  return numberIn(`/proc/${pid}/smaps_rollup`, 'Pss') * 1024;
}

/** Resident set size in bytes, which is cheap to read: shared pages count in full. 0 if the process has exited. */
export function residentMemory(pid: number): number {
  return numberIn(`/proc/${pid}/status`, 'VmRSS') * 1024;
}

/** As `residentMemory` without the pages that it shares with other processes on purpose: not those of the caches and counters. */
export function unsharedMemory(pid: number): number {
  const status = `/proc/${pid}/status`;
  return Math.max(0, numberIn(status, 'VmRSS') - numberIn(status, 'RssShmem')) * 1024;
}

/** Proportional set size of the process and its descendants: the pages that they share count once. */
export function memoryOfTree(root: number): number {
  return processTree(root).reduce((sum, { pid }) => sum + proportionalMemory(pid), 0);
}

/** CPU time of each thread of a process in nanoseconds, by thread id; the id of the main thread is `pid`. */
export function cpuOfThreads(pid: number): ReadonlyMap<number, number> {
  const cpuOf = (folder: string) => Number(readText(`${folder}/schedstat`).split(' ')[0]);
  return new Map(threadsOf(pid).map((folder) => [Number(path.basename(folder)), cpuOf(folder)]));
}

/** Voluntary context switches of all threads of the process and its descendants: a wake-up follows each. */
export function wakeUpsOfTree(root: number): number {
  const threads = processTree(root).flatMap(({ pid }) => threadsOf(pid));
  return threads.reduce((sum, folder) => sum + numberIn(`${folder}/status`, 'voluntary_ctxt_switches'), 0);
}

/** Their folders; none if the process has exited. */
function threadsOf(pid: number): readonly string[] {
  return namesIn(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}`);
}

/** Of a line such as `VmRSS:  1234 kB`; 0 without the line or the file. */
function numberIn(file: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readText(file))?.[1] ?? 0);
}

function readProcess(pid: number): Process | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === '') return undefined; // it has exited since it was listed
  // The name in parentheses may contain anything: count the fields after it (3, 4 and 14 to 17).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  const [state = '', parent] = fields;
  return {
    pid,
    parent: Number(parent),
    ticks,
    isRunning: state === 'R',
    isStopped: /t/i.test(state),
    hasEnded: state === 'Z',
  };
}
