// How much of the machine this process may use: less than all of it in a container, whose limits are those of its control
// groups (cgroups(7)). Node 20 looks at the processors of the machine alone.
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

export interface Allowance {
  /** Processors, at least 1. */
  readonly cores: number;
  /** Bytes; Infinity without a limit. */
  readonly memory: number;
}

/** The first version writes "no limit" as a number near 2 ** 63. */
const unlimited = 2 ** 60;

/** @param root of the file system, which is another one in tests */
export function allowance(root = '/', cores = availableParallelism()): Allowance {
  const mount = path.join(root, 'sys/fs/cgroup');
  let cpu = Number.POSITIVE_INFINITY;
  let memory = Number.POSITIVE_INFINITY;
  for (const line of (read(path.join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const [, controllers, group = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined) continue;
    const held = controllers.split(',');
    // In the second version there is one tree, in the first one for each set of controllers. `cpu,cpuacct` is found as
    // `cpu`, too. Most trees hold no limit that matters here, and are not looked at: each start pays for it.
    const trees = [...new Set([controllers, held[0] as string])].map((name) => path.join(mount, name));
    const folders = trees.flatMap((tree) => upwards(tree, group));
    const least = (limit: (folder: string) => number) => Math.min(...folders.map(limit));
    if (controllers === '') [cpu, memory] = [Math.min(cpu, least(cpuLimit)), Math.min(memory, least(memoryLimit))];
    if (held.includes('cpu')) cpu = Math.min(cpu, least(oldCpuLimit));
    if (held.includes('memory')) memory = Math.min(memory, least(oldMemoryLimit));
  }
  // Half a processor more than a whole one keeps two workers busy for some of the time.
  return { cores: Math.max(1, Math.min(cores, Math.ceil(cpu))), memory };
}

/** In a container the tree may begin at the group itself, so that its name leads nowhere: then the root tells. */
function upwards(tree: string, group: string): readonly string[] {
  const folders: string[] = [];
  for (let at = path.join('/', group); ; at = path.dirname(at)) {
    folders.push(path.join(tree, at));
    if (at === '/') return folders;
  }
}

function cpuLimit(folder: string): number {
  const [quota, period] = (read(path.join(folder, 'cpu.max')) ?? 'max').split(' ').map(Number);
  return quota && period ? quota / period : Number.POSITIVE_INFINITY;
}

function oldCpuLimit(folder: string): number {
  const quota = Number(read(path.join(folder, 'cpu.cfs_quota_us')) ?? -1);
  const period = quota > 0 ? Number(read(path.join(folder, 'cpu.cfs_period_us')) ?? 0) : 0;
  return period > 0 ? quota / period : Number.POSITIVE_INFINITY;
}

function memoryLimit(folder: string): number {
  return bytes(read(path.join(folder, 'memory.max')));
}

function oldMemoryLimit(folder: string): number {
  return bytes(read(path.join(folder, 'memory.limit_in_bytes')));
}

function bytes(text: string | undefined): number {
  const count = Number(text ?? Number.NaN);
  return count > 0 && count < unlimited ? count : Number.POSITIVE_INFINITY;
}

/** undefined where there is no such group, or none of Linux. */
function read(file: string): string | undefined {
  try {
    // Most are not there, and to make an error takes longer than to look.
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
  } catch {
    return undefined;
  }
}
