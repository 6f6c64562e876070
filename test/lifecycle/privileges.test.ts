// Workers that run as another user than the supervisor, and the files that they create.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { canUseNobody, nobody } from '../helpers/nobody.ts';
import { testPlacements } from '../helpers/placements.ts';
import { root, runCli, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-user-'));
  chmodSync(folder, 0o755);
  writeFileSync(
    path.join(folder, 'who.cjs'),
    'module.exports = (_req, res) => res.end([process.getuid(), process.getgid(), process.umask().toString(8)].join(":"));',
  );
});
afterAll(() => rmSync(folder, { recursive: true }));
const bin = path.join(root, 'bin/mpserve.js');

describe.skipIf(!canUseNobody)('as root', () => {
  testPlacements('--user, --group and --umask', async (placement) => {
    const args = [...(placement.args ?? []), '--user', 'nobody', '--umask', '027'];
    await using server = await startServer({ ...placement, app: path.join(folder, 'who.cjs'), args });
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).body).toMatch(/^65534:\d+:27$/);
    expect(server.lines.filter(({ event }) => event === 'warning')).toEqual([]);
  });

  test('another user cannot connect to the control socket', async () => {
    const control = path.join(folder, 'root.ctl');
    await using server = await startServer({ args: ['--control', control] });
    const { status, stderr } = spawnSync(process.execPath, [bin, 'ctl', 'stop', '--control', control], {
      ...nobody,
      cwd: folder,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: `mpserve: cannot reach a server at ${control} (from --control): permission denied; the socket belongs to another user, so run mpserve ctl as that user\n`,
    });
    expect((await ask(control, 'GET', '/status')).json).toMatchObject({ state: 'serving', pid: server.pid });
  });

  test('the server warns without --user', async () => {
    await using server = await startServer({});
    expect(await server.waitFor('a warning', ({ event }) => event === 'warning')).toMatchObject({
      warning: 'the app runs as root; name another user with --user',
    });
  });

  /** The status of a request by another user, or the code of the error. */
  const requestAs = (socketPath: string, uid: number, gid: number): string => {
    const code = `require('node:http').get({ socketPath: ${JSON.stringify(socketPath)}, path: '/' }, (res) => {
      console.log(res.statusCode);
      res.resume();
    }).on('error', (error) => console.log(error.code));`;
    return spawnSync(process.execPath, ['-e', code], { uid, gid, cwd: folder, encoding: 'utf8' }).stdout.trim();
  };
  const ownerOf = (socketPath: string): string => {
    const { uid, gid, mode } = statSync(socketPath);
    return `${uid}:${gid} ${(mode & 0o777).toString(8)}`;
  };

  test('the group of --socket-group connects with --socket-mode 660, and no other does', async () => {
    const socket = path.join(folder, 'group.sock');
    const args = ['--socket-mode', '660', '--socket-group', '12345', '--user', 'nobody'];
    await using server = await startServer({ app: path.join(folder, 'who.cjs'), bind: [`unix:${socket}`], args });
    expect(ownerOf(socket)).toBe('65534:12345 660');
    expect(requestAs(socket, 23_456, 12_345)).toBe('200');
    expect(requestAs(socket, 23_456, 23_456)).toBe('EACCES');
    expect(server.urls).toEqual([`unix:${socket}`]);
  });

  test('a socket belongs to --user and --group, unless --socket-owner names another', async () => {
    const [first, second] = [path.join(folder, 'first.sock'), path.join(folder, 'second.sock')];
    const args = ['--user', '65534', '--group', '12345'];
    await using _ = await startServer({ app: path.join(folder, 'who.cjs'), bind: [`unix:${first}`], args });
    expect(ownerOf(first)).toBe('65534:12345 600');
    const own = [...args, '--socket-owner', '0'];
    await using __ = await startServer({ app: path.join(folder, 'who.cjs'), bind: [`unix:${second}`], args: own });
    expect(ownerOf(second)).toBe('0:12345 600');
  });

  test.each([
    ['--socket-owner', '0', 'needs root: start the server as root, or remove the setting'],
    [
      '--socket-group',
      '12345',
      'needs root, or a user who is in that group: start the server as such a user, or remove the setting',
    ],
  ])('%s is refused for another user than root', (flag, value, message) => {
    const bind = `unix:${path.join(folder, 'refused.sock')}`;
    const { status, stderr } = spawnSync(process.execPath, [bin, '--bind', bind, flag, value], {
      ...nobody,
      cwd: folder,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 2, stderr: `mpserve: ${flag} ${message}\n` });
  });

  test('another user than root may give a socket to a group that it is in', async () => {
    const place = mkdtempSync(path.join(folder, 'nobody-'));
    chownSync(place, nobody.uid, nobody.gid);
    const socket = path.join(place, 'own.sock');
    const control = path.join(place, 'ctl');
    const args = ['--bind', `unix:${socket}`, '--socket-mode', '660', '--socket-group', String(nobody.gid)];
    const child = spawn(process.execPath, [bin, ...args, '--control', control], { ...nobody, cwd: place });
    try {
      await eventually('the server', () => existsSync(control));
      expect(ownerOf(socket)).toBe('65534:65534 660');
    } finally {
      child.kill();
      await once(child, 'close');
    }
  });

  test.each([
    ['--user', 'no-such-user', 'user'],
    ['--group', 'no-such-group', 'group'],
  ])('%s with an unknown name', async (flag, name, kind) => {
    const { code, stderr } = await runCli(['--bind', '127.0.0.1:0', flag, name]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `mpserve: ${flag} names an unknown ${kind}: '${name}'\n`,
    });
  });
});

test.each([
  ['--socket-owner', 'no-such-user', 'user'],
  ['--socket-group', 'no-such-group', 'group'],
])('%s with an unknown name', async (flag, name, kind) => {
  const { code, stderr } = await runCli(['--bind', `unix:${path.join(folder, 'unknown.sock')}`, flag, name]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: `mpserve: ${flag} names an unknown ${kind}: '${name}'\n` });
});

test('--socket-mode', async () => {
  const socket = path.join(folder, 'app.sock');
  await using _ = await startServer({ bind: [`unix:${socket}`], args: ['--socket-mode', '660'] });
  expect(statSync(socket).mode & 0o777).toBe(0o660);
});
