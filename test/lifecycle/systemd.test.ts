// Running as a systemd service: notifications over a datagram socket, socket activation and the unit files.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDescriptor } from '../../src/os/descriptor.ts';
import { openListeningSocket, portOf } from '../../src/os/listening-socket.ts';
import { fileOf } from '../guides/page.ts';
import { Datagrams } from '../helpers/datagrams.ts';
import { eventually } from '../helpers/eventually.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { fixture, root, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-systemd-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the supervisor sends READY, RELOADING, STATUS, WATCHDOG and STOPPING', async () => {
  const socket = path.join(folder, 'notify');
  using datagrams = new Datagrams(socket);
  const received: string[] = [];
  const waitFor = (line: string) =>
    eventually(line, () => {
      received.push(...datagrams.take());
      return received.some((text) => text.split('\n').includes(line));
    });
  const server = await startServer({
    app: fixture('life.cjs'),
    args: ['--workers', '2'],
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' },
  });
  await waitFor('READY=1');
  await waitFor('WATCHDOG=1');
  received.length = 0;
  server.child.kill('SIGHUP');
  await waitFor('RELOADING=1');
  await waitFor('READY=1');
  expect(received.join('\n')).toMatch(/^MONOTONIC_USEC=\d+$/m);
  server.child.kill('SIGTTIN');
  await waitFor('STATUS=serving with 3 workers');
  await server.stop();
  await waitFor('STOPPING=1');
});

test('a socket from systemd replaces --bind', async () => {
  const fd = openListeningSocket({ kind: 'tcp', host: '127.0.0.1', port: 0 }, 16);
  const port = portOf(fd);
  const script = `LISTEN_PID=$$ LISTEN_FDS=1 exec "${process.execPath}" "${path.join(root, 'bin/mpserve.js')}" "$@"`;
  const child = spawn('sh', ['-c', script, 'sh', fixture('life.cjs'), '--bind', '127.0.0.1:1'], {
    stdio: ['ignore', 'pipe', 'inherit', fd],
  });
  closeDescriptor(fd);
  try {
    let url = '';
    assert(child.stdout);
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.includes('"event":"ready"')) continue;
      ({ url } = JSON.parse(line));
      break;
    }
    expect(url).toBe(`http://127.0.0.1:${port}`);
    using wire = await connect(url);
    expect((await wire.ask('GET /')).status).toBe(200);
  } finally {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
});

const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
test.skipIf(!hasAnalyze)('systemd-analyze accepts the unit files', () => {
  for (const name of ['mpserve.service', 'mpserve.socket']) {
    const text = fileOf('docs/deploy/systemd.md', `/etc/systemd/system/${name}`);
    // systemd-analyze checks that the command exists.
    writeFileSync(path.join(folder, name), text.replaceAll('/usr/bin/mpserve', path.join(root, 'bin/mpserve.js')));
  }
  for (const name of ['mpserve.service', 'mpserve.socket']) {
    execFileSync('systemd-analyze', ['verify', '--man=no', path.join(folder, name)]);
  }
});

test('an upgrade sends the new MAINPID, and no STOPPING', async () => {
  const socket = path.join(folder, 'upgraded');
  using datagrams = new Datagrams(socket);
  const site = await Site.start('prefork', ['--workers', '1'], {}, { NOTIFY_SOCKET: socket });
  try {
    expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
    await eventually('the old server to exit', () => !isAlive(site.server.pid));
    const { json } = await site.ask('GET', '/status');
    const received = datagrams.take();
    expect(received).toContain(`MAINPID=${json.pid}`);
    expect(received.join('\n')).not.toContain('STOPPING=1');
    expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
    await eventually('the successor to stop', () => datagrams.take().join('\n').includes('STOPPING=1'));
  } finally {
    await site.remove();
  }
});

test('an upgraded server sends WATCHDOG, too', async () => {
  const socket = path.join(folder, 'watched');
  using datagrams = new Datagrams(socket);
  const ping = () => datagrams.take().includes('WATCHDOG=1');
  // As systemd starts a service, with the pid of the main process.
  const node = path.join(folder, 'node');
  writeFileSync(node, `#!/bin/sh\nWATCHDOG_PID=$$ exec "${process.execPath}" "$@"\n`, { mode: 0o755 });
  const server = await startServer({
    app: fixture('life.cjs'),
    args: ['--workers', '1'],
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' },
    node,
  });
  try {
    await eventually('a ping of the old server', ping);
    server.child.kill('SIGUSR2');
    const { pid } = await server.waitFor('the upgrade', ({ event }) => event === 'upgraded');
    await eventually('the old server to exit', () => !isAlive(server.pid));
    datagrams.take();
    await eventually('a ping of the new server', ping);
    process.kill(Number(pid), 'SIGTERM');
    await server.noneLeft();
  } finally {
    await server.kill();
  }
});
