// A disk that fills up while logs are rotated: the server goes on, counts what it loses, and recovers.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { LogFolder } from '../helpers/log-folder.ts';
import { fixture, type Line, startServer } from '../helpers/server.ts';

const app = fixture('plain.cjs');
const long = `/?${'x'.repeat(1800)}`;

/** A small file system in memory, which takes root; undefined where there cannot be one. */
function smallDisk(): (Disposable & { readonly folder: string }) | undefined {
  const parent = mkdtempSync(path.join(tmpdir(), 'mpserve-disk-'));
  const folder = path.join(parent, 'disk');
  mkdirSync(folder);
  const dispose = () => {
    spawnSync('umount', [folder]);
    rmSync(parent, { recursive: true, force: true });
  };
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder]).status === 0)
    return { folder, [Symbol.dispose]: dispose };
  dispose();
  console.warn('SKIPPED: a full disk needs root and mount(8)');
  return undefined;
}

test('on a full disk serving goes on, lost lines are counted, and rotation recovers', { tags: 'long' }, async ({
  skip,
}) => {
  using disk = smallDisk();
  if (!disk) return skip();
  const logs = new LogFolder(disk.folder);
  const rotate = ['--access-log', logs.log, '--log-rotate', '128k', '--log-keep', '1000', '--log-compress'];
  await using server = await startServer({ app, model: 'prefork', args: ['--workers', '2', ...rotate] });
  const is = (name: string) => (line: Line) => line.event === name;
  const clients = new Clients(server.url, 6, 'kept-alive', long);
  await server.waitForMany('rotations', is('log-rotated'), 2);
  const { bavail, bsize } = statfsSync(disk.folder);
  const filler = path.join(disk.folder, 'filler');
  // In pieces, as the server takes what is left meanwhile.
  for (let piece = bavail; piece > 0; )
    try {
      writeFileSync(filler, Buffer.alloc(piece * bsize), { flag: 'a' });
    } catch {
      piece = Math.floor(piece / 2);
    }
  await server.waitForMany('each worker to fail', is('access-log-failed'), 2);
  const before = clients.done;
  await eventually('answers on a full disk', () => clients.done > before + 200);
  rmSync(filler);
  await server.waitForMany('each worker to resume', is('access-log-resumed'), 2);
  const { length } = server.lines.filter(is('log-rotated'));
  await server.waitForMany('further rotations', is('log-rotated'), length + 2);
  const { answered, failures } = await clients.stop();
  expect(failures).toEqual([]);
  await eventually('all to be compressed', () => logs.rotated.every((name) => name.endsWith('Z.gz')));
  await server.stop();
  expect(server.lines.some(is('worker-died'))).toBe(false);
  const lost = server.lines.filter(is('access-log-resumed')).reduce((sum, line) => sum + Number(line.lost), 0);
  const ids = logs.lines().flatMap((line) => idOf(line) ?? []);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length + lost).toBe(answered);
  console.info(`${answered} answered, ${ids.length} lines, ${lost} lost and counted`);
});

/** undefined for the beginning of a line that was written again, whole. */
function idOf(line: string): string | undefined {
  try {
    return JSON.parse(line).reqId;
  } catch {
    return undefined;
  }
}
