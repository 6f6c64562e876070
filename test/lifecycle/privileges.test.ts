// Workers that are somebody else than the supervisor, and files that they make.
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, startServer } from '../helpers/server.ts';
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
const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('as root', () => {
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

  test('without --user there is a warning', async () => {
    await using server = await startServer({});
    expect(await server.waitFor('a warning', ({ event }) => event === 'warning')).toMatchObject({
      warning: 'the app runs as root; name another user with --user',
    });
  });

  test.each([
    ['--user', 'no-such-user', 'user'],
    ['--group', 'no-such-group', 'group'],
  ])('%s that is not there', async (flag, name, kind) => {
    const { code, stderr } = await runCli(['--bind', '127.0.0.1:0', flag, name]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `mpserve: ${flag} names a ${kind} that this system does not know: '${name}'\n`,
    });
  });
});

test('--socket-mode', async () => {
  const socket = path.join(folder, 'app.sock');
  await using _ = await startServer({ bind: [`unix:${socket}`], args: ['--socket-mode', '660'] });
  expect(statSync(socket).mode & 0o777).toBe(0o660);
});
