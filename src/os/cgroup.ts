// How much of the machine this process may use: less than all of it in a container, whose limits are those of its control
// groups (cgroups(7)). Node 20 looks at the processors of the machine alone.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';

export interface Allowance {
  /** Processors, at least 1. */
  readonly cores: number;
  /** Bytes; Infinity without a limit. */
  readonly memory: number;
}

/** Where a limit of the second and of the first version stands, below the folder of the group. */
const files = {
  v2: { cpu: 'cpu.max', memory: 'memory.max' },
  v1: { quota: 'cpu.cfs_quota_us', period: 'cpu.cfs_period_us', memory: 'memory.limit_in_bytes' },
} as const;

/** The first version writes "no limit" as a number near 2 ** 63. */
const unlimited = 2 ** 60;

/** @param root of the file system, which is another one in tests */
export function allowance(root = '/', cores = availableParallelism()): Allowance {
  const groups = groupsOf(root);
  const cpu = Math.min(...groups.map((folder) => cpuLimit(folder)));
  const memory = Math.min(...groups.map((folder) => memoryLimit(folder)));
  // Half a processor more than a whole one keeps two workers busy for some of the time.
  return { cores: Math.max(1, Math.min(cores, Math.ceil(cpu))), memory };
}

/** The folders of the groups that this process is in, up to the uppermost that can be seen. */
function groupsOf(root: string): readonly string[] {
  const mount = path.join(root, 'sys/fs/cgroup');
  const lines = (read(path.join(root, 'proc/self/cgroup')) ?? '').split('\n').filter((line) => line !== '');
  return lines.flatMap((line) => {
    const [, controllers = '', group = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    // In the first version each controller has a tree of its own.
    const trees = controllers === '' ? [mount] : [path.join(mount, controllers), path.join(mount, lastOf(controllers))];
    return trees.flatMap((tree) => upwards(tree, group));
  });
}

/** `cpu,cpuacct` is found as `cpu`, too. */
function lastOf(controllers: string): string {
  return controllers.split(',')[0] ?? '';
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
  const [quota, period] = (read(path.join(folder, files.v2.cpu)) ?? 'max').split(' ').map(Number);
  if (quota && period) return quota / period;
  const old = ['quota', 'period'] as const;
  const [oldQuota = -1, oldPeriod = 0] = old.map((name) => Number(read(path.join(folder, files.v1[name])) ?? -1));
  return oldQuota > 0 && oldPeriod > 0 ? oldQuota / oldPeriod : Number.POSITIVE_INFINITY;
}

function memoryLimit(folder: string): number {
  const text = read(path.join(folder, files.v2.memory)) ?? read(path.join(folder, files.v1.memory));
  const bytes = Number(text ?? Number.NaN);
  return bytes > 0 && bytes < unlimited ? bytes : Number.POSITIVE_INFINITY;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined; // no such group, or none of Linux
  }
}
