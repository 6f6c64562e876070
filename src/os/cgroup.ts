// The processors and memory that this process may use: those of the machine, or less in a container, as its control groups
// say (cgroups(7)), and how often the kernel has killed there for lack of memory. Node 20 knows only the processors of the
// machine.
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { readText } from './files.js';

/** cgroup v1 writes "no limit" as a number near 2 ** 63. */
const unlimited = 2 ** 60;

/**
 * @param root of the file system; tests have their own
 * @returns how many processors, at least 1, and how many bytes of memory; Infinity without a limit
 */
export function availableResources(root = '/', cores = availableParallelism()) {
  let cpu = Number.POSITIVE_INFINITY;
  let memory = Number.POSITIVE_INFINITY;
  for (const { controllers, names, folders } of hierarchies(root)) {
    const lowest = (limit: (folder: string) => number) => Math.min(...folders.map((folder) => limit(folder)));
    if (controllers === '') [cpu, memory] = [Math.min(cpu, lowest(cpuLimit)), Math.min(memory, lowest(memoryLimit))];
    if (names.includes('cpu')) cpu = Math.min(cpu, lowest(cpuLimitV1));
    if (names.includes('memory')) memory = Math.min(memory, lowest(memoryLimitV1));
  }
  // Rounded up: 1.5 processors keep two workers busy some of the time.
  return { cores: Math.max(1, Math.min(cores, Math.ceil(cpu))), memory };
}

/**
 * How many processes of the group the kernel has killed for lack of memory; where no group counts them, those of the machine. 0
 * where nothing counts them.
 */
export function oomKills(root = '/'): number {
  const files = hierarchies(root).flatMap(({ controllers, names, folders }) => {
    if (controllers === '') return folders.map((folder) => path.join(folder, 'memory.events'));
    return names.includes('memory') ? folders.map((folder) => path.join(folder, 'memory.oom_control')) : [];
  });
  for (const file of [...files, path.join(root, 'proc/vmstat')]) {
    const count = /^oom_kill (\d+)$/m.exec(readText(file))?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}

/** Of this process: the names of the controllers, and the folders of the group and its ancestors, which need not exist. */
function hierarchies(root: string) {
  const mount = path.join(root, 'sys/fs/cgroup');
  return readText(path.join(root, 'proc/self/cgroup'))
    .split('\n')
    .flatMap((line) => {
      const [, controllers, group = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === undefined) return [];
      const names = controllers.split(',');
      // v2 has one hierarchy, v1 has one for each set of controllers; `cpu,cpuacct` is mounted as `cpu`, too. Only those with
      // a limit of interest are read: that would slow down each start.
      const trees = [...new Set([controllers, names[0] as string])].map((name) => path.join(mount, name));
      return { controllers, names, folders: trees.flatMap((tree) => upwards(tree, group)) };
    });
}

/** The group and its ancestors. In a container the group itself may be mounted at the root, under no name. */
function upwards(tree: string, group: string): readonly string[] {
  const folders: string[] = [];
  for (let at = path.join('/', group); ; at = path.dirname(at)) {
    folders.push(path.join(tree, at));
    if (at === '/') return folders;
  }
}

function cpuLimit(folder: string): number {
  const [quota, period] = readText(path.join(folder, 'cpu.max')).split(' ').map(Number);
  return quota && period ? quota / period : Number.POSITIVE_INFINITY;
}

function cpuLimitV1(folder: string): number {
  const quota = Number(readText(path.join(folder, 'cpu.cfs_quota_us')));
  const period = quota > 0 ? Number(readText(path.join(folder, 'cpu.cfs_period_us'))) : 0;
  return period > 0 ? quota / period : Number.POSITIVE_INFINITY;
}

function memoryLimit(folder: string, file = 'memory.max'): number {
  const bytes = Number(readText(path.join(folder, file)));
  return bytes > 0 && bytes < unlimited ? bytes : Number.POSITIVE_INFINITY;
}

function memoryLimitV1(folder: string): number {
  return memoryLimit(folder, 'memory.limit_in_bytes');
}
