// --log-rotate: each request has one whole line in one file, whatever happens to the workers meanwhile.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { flood } from '../helpers/flood.ts';
import { LogFolder } from '../helpers/log-folder.ts';
import { canUseNobody, nobody } from '../helpers/nobody.ts';
import { sizedModels } from '../helpers/placements.ts';
import { repetitions } from '../helpers/repetitions.ts';
import { fixture, type Line, launchServer, root, runCli, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';

const bin = path.join(root, 'bin/mpserve.js');
const app = fixture('plain.cjs');
const isRotation = ({ event }: Line) => event === 'log-rotated';
const failuresOf = (server: Server) => server.lines.filter(({ event }) => event === 'log-rotation-failed');
/** With it a line has two thousand bytes, so that few requests fill a file. */
const long = `/?${'x'.repeat(1800)}`;

for (const { model, args, tags } of sizedModels) {
  test(`${model}: rotation by size under load loses no line`, { tags }, async () => {
    using logs = new LogFolder();
    const rotate = ['--access-log', logs.log, '--log-rotate', '64k', '--log-keep', '1000'];
    await using server = await startServer({ app, model, args: [...args, ...rotate] });
    const clients = new Clients(server.url, 6, 'kept-alive', long);
    await server.waitForMany('rotations', isRotation, 3);
    const { answered, failures } = await clients.stop();
    expect(failures).toEqual([]);
    await server.stop();
    expect(failuresOf(server)).toEqual([]);
    const ids = logs.requests().map(({ reqId }) => reqId);
    expect(ids.length).toBe(answered);
    expect(new Set(ids).size).toBe(answered);
  });
}

test('a reload, a switch and an upgrade under load: one server rotates, and no line is lost', {
  tags: 'long',
}, async () => {
  using logs = new LogFolder();
  const rotate = ['--access-log', logs.log, '--log-rotate', '64k', '--log-keep', '1000', '--log-compress'];
  const site = await Site.start('prefork', ['--workers', '2', ...rotate]);
  try {
    const clients = new Clients(site.server.url, 6, 'kept-alive', long);
    const more = async () => {
      const { length } = site.server.lines.filter(isRotation);
      await site.server.waitForMany('another two rotations', isRotation, length + 2);
    };
    const operations = [
      ['/reload', undefined],
      ['/switch', '{"options": {"model": "prethread"}}'],
      ['/upgrade', undefined],
      ['/reload', undefined],
    ] as const;
    for (const [target, body] of operations) {
      await more();
      expect(await site.ask('POST', target, body)).toMatchObject({ status: 200 });
    }
    await more();
    const { answered, failures } = await clients.stop();
    expect(failures).toEqual([]);
    const isWhole = () => logs.rotated.every((name) => name.endsWith('.gz'));
    await eventually('all to be compressed', isWhole);
    expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
    await site.server.noneLeft();
    expect(failuresOf(site.server)).toEqual([]);
    const rotations = site.server.lines.filter(isRotation);
    expect(new Set(rotations.map(({ pid }) => pid)).size).toBe(2);
    expect(rotations.length).toBe(logs.rotated.length);
    const ids = logs.requests().map(({ reqId }) => reqId);
    expect(ids.length).toBe(answered);
    expect(new Set(ids).size).toBe(answered);
  } finally {
    await site.remove();
  }
});

test('8 workers: no line is lost, torn or there twice', { tags: 'long', timeout: 1_800_000 }, async () => {
  using logs = new LogFolder();
  const [lines, rotations] = [repetitions({ few: 20_000, all: 1_000_000 }), repetitions({ few: 4, all: 50 })];
  const each = lines / rotations;
  // Less than what a round writes, so that files are rotated in the middle of it.
  const rotate = ['--access-log', logs.log, '--log-rotate', `${each / 20}k`, '--log-keep', '10000', '--log-compress'];
  await using server = await startServer({ app, model: 'prefork', args: ['--workers', '8', ...rotate] });
  let asked = 0;
  while (asked < lines || server.lines.filter(isRotation).length < rotations) {
    const target = (n: number) => `/${String(asked + n).padStart(9, '0')}`;
    await flood(server.url, { connections: 32, requests: each, depth: 50, target });
    asked += each;
  }
  await server.stop();
  expect(failuresOf(server)).toEqual([]);
  const urls = logs.requests().map(({ url }) => url);
  expect(urls.length).toBe(asked);
  expect(new Set(urls).size).toBe(asked);
  console.info(`${asked} lines, ${logs.rotated.length} rotations: none lost, torn or twice`);
});

test('the oldest files are deleted, the others compressed, and all are as private as the log was', async () => {
  using logs = new LogFolder();
  writeFileSync(logs.log, '');
  chmodSync(logs.log, 0o600);
  const foreign = ['access.log-old', 'access.log-20260101T000000.000Z.txt', 'access.log.1'];
  for (const name of foreign) writeFileSync(logs.path(name), name);
  const rotate = ['--access-log', logs.log, '--log-rotate', '64k', '--log-keep', '2', '--log-compress'];
  await using server = await startServer({ app, model: 'prefork', args: ['--workers', '2', ...rotate] });
  const clients = new Clients(server.url, 6, 'kept-alive', long);
  await server.waitForMany('rotations', isRotation, 4);
  await clients.stop();
  const ours = () => logs.rotated.filter((name) => !foreign.includes(name));
  await eventually('two files', () => ours().length === 2 && ours().every((name) => name.endsWith('Z.gz')));
  for (const name of [...ours(), 'access.log']) expect(statSync(logs.path(name)).mode & 0o777, name).toBe(0o600);
  for (const name of foreign) expect(readFileSync(logs.path(name), 'utf8')).toBe(name);
});

test('what a compression has left that was ended is tidied up at the start', async () => {
  using logs = new LogFolder();
  const [whole, half, plain] = [1, 2, 3].map((ms) => `access.log-20260101T000000.00${ms}Z`) as [string, string, string];
  const [first, second, third] = ['{"url":"/1"}\n', '{"url":"/2"}\n', '{"url":"/3"}\n'];
  writeFileSync(logs.path(whole), first);
  writeFileSync(logs.path(`${whole}.gz`), execFileSync('gzip', ['-c'], { input: first }));
  writeFileSync(logs.path(half), second);
  writeFileSync(logs.path(`${half}.gz.tmp`), 'half');
  writeFileSync(logs.path(plain), third);
  const rotate = ['--access-log', logs.log, '--log-rotate', 'daily', '--log-compress'];
  await using _ = await startServer({ app, model: 'prefork', args: ['--workers', '1', ...rotate] });
  await eventually('all to be compressed', () => logs.rotated.every((name) => name.endsWith('Z.gz')));
  expect(logs.rotated).toEqual([whole, half, plain].map((name) => `${name}.gz`));
  expect(logs.requests().map(({ url }) => url)).toEqual(['/1', '/2', '/3']);
});

test('a log of an earlier day is rotated at the start, and one of today is not', async () => {
  using logs = new LogFolder();
  const server = path.join(logs.folder, 'server.log');
  writeFileSync(logs.log, '{"url":"/old"}\n');
  execFileSync('touch', ['-d', '2 days ago', logs.log]);
  const rotate = ['--access-log', logs.log, '--log-file', server, '--log-rotate', 'daily'];
  const process = launchServer({ app, model: 'prefork', args: ['--workers', '1', ...rotate] });
  try {
    await eventually('the rotation', () => logs.rotated.length === 1);
    const text = await eventually('its line', () => {
      const lines = readFileSync(server, 'utf8');
      return lines.includes('log-rotated') && lines;
    });
    expect(text.match(/"log-rotated"/g)).toHaveLength(1);
    expect(readFileSync(logs.path(logs.rotated[0] as string), 'utf8')).toBe('{"url":"/old"}\n');
  } finally {
    await process.stop();
  }
});

test('of a symbolic link, the file that it names is rotated where that is', async () => {
  using logs = new LogFolder();
  const link = path.join(logs.folder, 'link');
  mkdirSync(link);
  symlinkSync(logs.log, path.join(link, 'app.log'));
  const rotate = ['--access-log', path.join(link, 'app.log'), '--log-rotate', '64k'];
  await using server = await startServer({ app, model: 'prefork', args: ['--workers', '2', ...rotate] });
  const clients = new Clients(server.url, 4, 'kept-alive', long);
  await server.waitForMany('rotations', isRotation, 2);
  const { answered } = await clients.stop();
  await server.stop();
  expect(lstatSync(path.join(link, 'app.log')).isSymbolicLink()).toBe(true);
  expect(logs.requests().length).toBe(answered);
});

test.runIf(canUseNobody)('with --user: workers write to the new file, which is theirs', async () => {
  using logs = new LogFolder();
  chmodSync(logs.folder, 0o755);
  const rotate = ['--access-log', logs.log, '--log-rotate', '64k', '--log-compress', '--user', 'nobody'];
  await using server = await startServer({ app, model: 'prefork', args: ['--workers', '2', ...rotate] });
  const clients = new Clients(server.url, 4, 'kept-alive', long);
  await server.waitForMany('rotations', isRotation, 2);
  const { answered } = await clients.stop();
  await eventually('all to be compressed', () => logs.rotated.every((name) => name.endsWith('Z.gz')));
  await server.stop();
  expect(failuresOf(server)).toEqual([]);
  expect(logs.requests().length).toBe(answered);
  expect(statSync(logs.log)).toMatchObject({ uid: nobody.uid, gid: nobody.gid });
});

test.runIf(canUseNobody)(
  'with --user: workers that may not reach the file keep the old one, which is said',
  async () => {
    using logs = new LogFolder(mkdtempSync(path.join(tmpdir(), 'mpserve-private-')));
    const rotate = ['--access-log', logs.log, '--log-rotate', '64k', '--log-keep', '1', '--user', 'nobody'];
    await using server = await startServer({ app, model: 'prefork', args: ['--workers', '1', ...rotate] });
    const warning = await server.waitFor(
      'a warning',
      ({ event, warning }) => event === 'warning' && /log/.test(String(warning)),
    );
    expect(warning.warning).toMatch(/the user of the workers may not enter .*mpserve-private-/);
    const clients = new Clients(server.url, 4, 'kept-alive', long);
    const failed = await server.waitFor('the failure', ({ event }) => event === 'log-rotation-failed');
    expect(failed.reason).toMatch(/^worker 1 .*EACCES/);
    const { answered } = await clients.stop();
    await server.stop();
    expect(logs.requests().length).toBe(answered);
  },
);

test('a log that is a pipe is refused', async () => {
  using logs = new LogFolder();
  execFileSync('mkfifo', [logs.log]);
  const { code, stderr } = await runCli(['--access-log', logs.log, '--log-rotate', '1M']);
  expect(stderr).toBe(
    `mpserve: cannot rotate the log ${logs.log} (from --access-log), which is not a regular file; name another file, or leave out --log-rotate\n`,
  );
  expect(code).toBe(2);
});

test.runIf(canUseNobody)('a log in a directory where it cannot be renamed is refused', async () => {
  using logs = new LogFolder();
  writeFileSync(logs.log, '');
  chmodSync(logs.log, 0o666);
  chmodSync(logs.folder, 0o755);
  const { status, stderr } = spawnSync(process.execPath, [bin, '--access-log', logs.log, '--log-rotate', '1M'], {
    ...nobody,
    encoding: 'utf8',
  });
  expect(stderr).toMatch(
    `cannot rotate the log ${logs.log} (from --access-log): this user may not write to its directory ${logs.folder}; name another file`,
  );
  expect(status).toBe(2);
});
