// The processors and memory of a container, from the files of its control groups.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { availableResources, oomKills } from '../../src/os/cgroup.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'mpserve-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const gibi = 1024 ** 3;
const unlimited = { cores: 8, memory: Number.POSITIVE_INFINITY };

type Case = [what: string, files: Readonly<Record<string, string>>, expected: { cores: number; memory: number }];

test.each<Case>([
  ['no Linux', {}, unlimited],
  ['no limit', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n' }, unlimited],
  [
    'a container that sees its own group as the root',
    {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/cpu.max': '200000 100000\n',
      'sys/fs/cgroup/memory.max': `${gibi}\n`,
    },
    { cores: 2, memory: gibi },
  ],
  [
    'half a processor counts as one',
    { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' },
    { ...unlimited, cores: 1 },
  ],
  [
    'the lowest limit of a group and its ancestors',
    {
      'proc/self/cgroup': '0::/a/b\n',
      'sys/fs/cgroup/a/b/cpu.max': '400000 100000\n',
      'sys/fs/cgroup/a/cpu.max': '250000 100000\n',
      'sys/fs/cgroup/a/memory.max': `${4 * gibi}\n`,
      'sys/fs/cgroup/a/b/memory.max': 'max\n',
    },
    { cores: 3, memory: 4 * gibi },
  ],
  [
    'cgroup v1',
    {
      'proc/self/cgroup': '4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n',
      'sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us': '150000\n',
      'sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes': `${2 * gibi}\n`,
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    },
    { cores: 2, memory: 2 * gibi },
  ],
  [
    'cgroup v1 without a limit',
    {
      'proc/self/cgroup': '3:cpu,cpuacct:/\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    },
    unlimited,
  ],
  ['unreadable files', { 'proc/self/cgroup': 'x\n0::/\n', 'sys/fs/cgroup/cpu.max': 'many\n' }, unlimited],
])('%s', (_, files, expected) => {
  write(files);
  expect(availableResources(root, 8)).toEqual(expected);
});

test('this machine has a processor and memory', () => {
  const { cores, memory } = availableResources();
  expect(cores).toBeGreaterThanOrEqual(1);
  expect(memory).toBeGreaterThan(0);
});

type KillCase = [what: string, files: Readonly<Record<string, string>>, expected: number];

test.each<KillCase>([
  ['no Linux', {}, 0],
  [
    'of the group',
    { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/memory.events': 'low 0\noom 4\noom_kill 3\noom_group_kill 1\n' },
    3,
  ],
  [
    'of the group that a container sees as the root',
    { 'proc/self/cgroup': '0::/docker/x\n', 'sys/fs/cgroup/memory.events': 'oom_kill 2\n' },
    2,
  ],
  [
    'of cgroup v1, which has them with its own setting',
    {
      'proc/self/cgroup': '4:memory:/docker/x\n0::/\n',
      'sys/fs/cgroup/memory/docker/x/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 5\n',
      'proc/vmstat': 'oom_kill 9\n',
    },
    5,
  ],
  [
    'of the machine, where no group counts them',
    { 'proc/self/cgroup': '0::/\n', 'proc/vmstat': 'x 1\noom_kill 9\n' },
    9,
  ],
])('kills for lack of memory: %s', (_, files, expected) => {
  write(files);
  expect(oomKills(root)).toBe(expected);
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
