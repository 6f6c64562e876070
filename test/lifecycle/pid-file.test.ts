// --pid-file: it always belongs to one server that runs, or is stale.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repetitions } from '../helpers/repetitions.ts';
import { launchServer, root, runCli, startServer } from '../helpers/server.ts';

/** Above the highest pid of Linux. */
const stale = '4194305\n';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-pid-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => path.join(folder, name);

test.concurrent.each([
  ['of a dead server', stale],
  ['that is empty', ''],
])('the server replaces a pid file %s, and removes its own at exit', async (what, text) => {
  const pidFile = file(`${what}.pid`);
  writeFileSync(pidFile, text);
  const server = await startServer({ args: ['--pid-file', pidFile] });
  expect(Number(readFileSync(pidFile, 'utf8'))).toBe(server.pid);
  await server.stop();
  expect(existsSync(pidFile)).toBe(false);
});

test.concurrent.each([
  [
    'in a missing directory',
    () => '/gone/app.pid',
    /cannot write .*app\.pid \(from --pid-file\): its directory does not exist/,
  ],
  [
    'that does not contain a pid',
    () => import.meta.filename,
    /test\.ts \(from --pid-file\) exists and does not contain a pid/,
  ],
  ['that is a directory', () => folder, /cannot write .*: it is a directory/],
  ['that is a symbolic link', () => link(), /cannot write .*: it is a symbolic link/],
])('a pid file %s is an error', async (_, pidFile, message) => {
  const { code, stderr } = await runCli(['--bind', '127.0.0.1:0', '--pid-file', pidFile()]);
  expect(code).toBe(3);
  expect(stderr).toMatch(message);
});

function link(): string {
  const made = file('link.pid');
  symlinkSync(file('target.pid'), made);
  return made;
}

test.concurrent('a pid file that cannot be written whole is removed', async () => {
  const full = file('full');
  mkdirSync(full);
  // With this limit each write to a file fails, as on a full disk; a write to a pipe does not.
  const limited = 'ulimit -f 0; exec "$0" "$@"';
  const args = [limited, process.execPath, path.join(root, 'bin/mpserve.js'), '--pid-file', path.join(full, 'app.pid')];
  const { code, stderr } = await runCli(args, { node: '/bin/sh', script: '-c' });
  expect({ code, left: readdirSync(full) }).toEqual({ code: 3, left: [] });
  expect(stderr).toMatch(/cannot write the pid file/);
});

const races: readonly (readonly [count: number, tags: string[]])[] = [
  [5, []],
  [repetitions({ few: 25, all: 200 }), ['long']],
];
for (const [count, tags] of races)
  test(`of two servers that start with the same stale pid file one runs, ${count} times`, { tags }, async () => {
    const pidFile = file(`${count}.pid`);
    for (let i = 0; i < count; i++) {
      writeFileSync(pidFile, stale);
      const servers = [1, 2].map(() => launchServer({ args: ['--pid-file', pidFile] }));
      try {
        await Promise.race(servers.map(({ exit }) => exit));
        const running = servers.filter(({ child }) => child.exitCode === null);
        expect(running.length).toBe(1);
        const [winner] = running;
        await winner?.waitFor('ready', ({ event }) => event === 'ready');
        expect(Number(readFileSync(pidFile, 'utf8'))).toBe(winner?.pid);
      } finally {
        await Promise.all(servers.map((server) => server.kill()));
      }
    }
  });
