// Workers that run as another user than the supervisor, and the files that they create.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '../helpers/control.ts';
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
const nobody = { uid: 65_534, gid: 65_534 };
/** Only root can run workers as another user, and the user nobody must be able to read this checkout. */
const canUseNobody =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', `require('node:fs').accessSync(${JSON.stringify(bin)})`], nobody).status === 0;

describe.skipIf(!canUseNobody)('as root', () => {
  test.concurrent.each(['prefork', 'ppc', 'tpc', 'prethread', 'hybrid'])(
    '%s: --user, --group and --umask',
    async (model) => {
      const args = ['--user', 'nobody', '--umask', '027'];
      await using server = await startServer({ app: path.join(folder, 'who.cjs'), model, args });
      using wire = await connect(server.url);
      expect((await wire.ask('GET /')).body).toMatch(/^65534:\d+:27$/);
      expect(server.lines.filter(({ event }) => event === 'warning')).toEqual([]);
    },
  );

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

test('--socket-mode', async () => {
  const socket = path.join(folder, 'app.sock');
  await using _ = await startServer({ bind: [`unix:${socket}`], args: ['--socket-mode', '660'] });
  expect(statSync(socket).mode & 0o777).toBe(0o660);
});
