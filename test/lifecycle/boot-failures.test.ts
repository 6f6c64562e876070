// Every way in which a server fails to start: it prints one line that an operator can act on, exits with the code of
// the failure, and leaves no process and no socket file behind.
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixture, runCli, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
const inFolder = (name: string): string => path.join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a server that must exit with `code` and leave no socket file. @returns its standard error */
async function failure(code: number, args: readonly string[]): Promise<string> {
  const socket = inFolder(`${performance.now()}.sock`);
  const bind = args.includes('--bind') ? [] : ['--bind', `unix:${socket}`];
  const end = await runCli([...args, ...bind]);
  expect(end.stderr).toMatch(/^mpserve: [^\n]+\n$/);
  expect({ code: end.code, left: end.left }).toEqual({ code, left: [] });
  expect(existsSync(socket)).toBe(false);
  return end.stderr;
}

describe('an address', () => {
  test('whose port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      const said = await failure(3, ['--bind', `127.0.0.1:${port}`]);
      expect(said).toContain(`cannot listen on 127.0.0.1:${port} (from --bind): the port is in use; `);
    } finally {
      other.close();
    }
  });

  test('that fails after another one was opened: the socket file of the other is removed', async () => {
    const first = inFolder('first.sock');
    await failure(3, ['--bind', `unix:${first}`, '--bind', '192.0.2.1:0']);
    expect(existsSync(first)).toBe(false);
  });

  test('that this machine does not have', async () => {
    const said = await failure(3, ['--bind', '192.0.2.1:0']);
    expect(said).toContain('cannot listen on 192.0.2.1:0 (from --bind): this machine does not have this address; ');
  });

  test('that is privileged', async ({ skip }) => {
    const probe = createServer().listen(1, '127.0.0.1');
    const permitted = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    probe.close();
    skip(permitted, 'this user may listen on any port');
    expect(await failure(3, ['--bind', '127.0.0.1:1'])).toContain(
      '(from --bind): permission denied; a port below 1024 needs',
    );
  });

  test('that is the socket of a running server, which keeps it', async () => {
    const socket = inFolder('alive.sock');
    await using server = await startServer({ bind: [`unix:${socket}`] });
    expect(await failure(3, ['--bind', `unix:${socket}`])).toContain('another server is listening on this socket; ');
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).status).toBe(200);
  });

  test('that is the stale socket of a dead server: it is replaced, and removed on exit', async () => {
    const socket = inFolder('stale.sock');
    const dead = await startServer({ bind: [`unix:${socket}`] });
    await dead.kill();
    expect(existsSync(socket)).toBe(true);
    {
      await using server = await startServer({ bind: [`unix:${socket}`] });
      using wire = await connect(server.url);
      expect((await wire.ask('GET /')).status).toBe(200);
    }
    expect(existsSync(socket)).toBe(false);
  });

  test('that is a file other than a socket: the file stays as it is', async () => {
    const file = inFolder('precious');
    writeFileSync(file, 'precious');
    expect(await failure(3, ['--bind', `unix:${file}`])).toContain('the file exists and is not a socket; ');
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  test('in a directory that does not exist', async () => {
    const said = await failure(3, ['--bind', `unix:${inFolder('nowhere/x.sock')}`]);
    expect(said).toContain('the directory of the socket does not exist; create it');
  });
});

test.each(['--log-file', '--access-log'])('%s that cannot be written', async (flag) => {
  const missing = inFolder('nowhere/x.log');
  const start = `cannot open the log file ${missing} (from ${flag}): its directory does not exist; `;
  expect(await failure(2, [flag, missing])).toContain(start);
  expect(await failure(2, [flag, folder])).toContain(
    `cannot open the log file ${folder} (from ${flag}): it is a directory; `,
  );
});

test('an unknown node option, before any worker is started', async () => {
  const app = fixture('listener.cjs');
  expect(await failure(2, [app, '--node-arg=--no-such-option'])).toContain(
    'node refuses --node-arg: bad option: --no-such-option; see node --help',
  );
});

test('an app whose path is not accessible', async () => {
  const loop = inFolder('loop.js');
  symlinkSync(loop, loop);
  expect(await failure(4, [loop])).toContain(`the app '${loop}' (from the command line) cannot be read: ELOOP: `);
});

test('an app from an environment variable that does not load, with its source', async () => {
  const app = fixture('broken/exits.cjs');
  const { code, stderr } = await runCli(['--bind', '127.0.0.1:0'], { env: { MPSERVE_APP: app } });
  expect(code).toBe(4);
  expect(stderr).toContain(`(does it call process.exit?) [app ${app} from MPSERVE_APP]`);
});

const apps: readonly (readonly [what: string, app: string, code: number, message: RegExp])[] = [
  ['throws', 'throws.cjs', 4, /throws\.cjs failed to load: Error: no database \(\S+throws\.cjs:2:9\)/],
  ['rejects', 'rejects.mjs', 4, /rejects\.mjs failed to load: TypeError: no database \(\S+rejects\.mjs:2:7\)/],
  ['has a syntax error', 'syntax.mjs', 4, /SyntaxError: Unexpected token ';' \(\S+syntax\.mjs:2\)/],
  ['does not exist', 'no-such-app.js', 4, /no-such-app\.js' \(from the command line\) does not exist: looked for/],
  [
    'exports nothing',
    'nothing.cjs',
    4,
    /exports an object with port, host and does not listen with an http.Server; mpserve accepts a server that listens/,
  ],
  ['exits', 'exits.cjs', 4, /the app ended .* while it was loading.* \(does it call process\.exit\?\)/],
  ['never finishes loading', 'never.mjs', 4, /not ready within 500 ms \(--boot-timeout\): its module is still loading/],
  ['blocks', 'blocks.cjs', 4, /did not load within 500 ms \(--boot-timeout\): it blocks the event loop/],
  ['is killed at every start', 'killed.cjs', 5, /died 3 times before it was ready: it was ended by SIGKILL; look at/],
];

const testedInEveryModel = ['throws', 'exits', 'never finishes loading'];

describe.concurrent.each(['prefork', 'ppc', 'prethread', 'tpc', 'hybrid'])('in %s', (model) => {
  for (const [what, app, code, message] of apps) {
    // prefork loads the app in a process, prethread in a thread; the other models report failures with the same messages.
    const isRepeated = !['prefork', 'prethread'].includes(model) && !testedInEveryModel.includes(what);
    test(`an app that ${what}`, { tags: isRepeated ? ['long'] : [] }, async () => {
      const file = fixture(`broken/${app}`);
      const shortTimeout = /^never|^blocks/.test(app) ? ['--boot-timeout', '500ms'] : [];
      const stderr = await failure(code, [file, '--model', model, ...shortTimeout]);
      expect(stderr).toMatch(message);
      if (code === 4) expect(stderr).toMatch(/from the command line[\])]/);
    });
  }
});
