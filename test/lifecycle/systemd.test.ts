// As systemd starts a service: it hears how that is over a datagram socket, and may have opened its sockets.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDescriptor } from '../../src/os/descriptor.ts';
import { openListeningSocket, portOf } from '../../src/os/listening-socket.ts';
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

test('it says READY, RELOADING, STATUS, WATCHDOG and STOPPING', async () => {
  const socket = path.join(folder, 'notify');
  using datagrams = new Datagrams(socket);
  const heard: string[] = [];
  const hear = (what: string) =>
    eventually(what, () => {
      heard.push(...datagrams.take());
      return heard.some((text) => text.split('\n').includes(what));
    });
  const server = await startServer({
    app: fixture('life.cjs'),
    args: ['--workers', '2'],
    env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' },
  });
  await hear('READY=1');
  await hear('WATCHDOG=1');
  heard.length = 0;
  server.child.kill('SIGHUP');
  await hear('RELOADING=1');
  await hear('READY=1');
  expect(heard.join('\n')).toMatch(/^MONOTONIC_USEC=\d+$/m);
  server.child.kill('SIGTTIN');
  await hear('STATUS=serving with 3 workers');
  await server.stop();
  await hear('STOPPING=1');
});

test('a socket that systemd has opened is served, in the place of --bind', async () => {
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
test.skipIf(!hasAnalyze)('the unit files are sound', () => {
  for (const name of ['mpserve.service', 'mpserve.socket']) {
    const text = readFileSync(path.join(root, 'docs/deploy', name), 'utf8');
    expect(text).toContain('[Unit]');
    // It looks whether the command is there.
    writeFileSync(path.join(folder, name), text.replaceAll('/usr/bin/mpserve', path.join(root, 'bin/mpserve.js')));
  }
  for (const name of ['mpserve.service', 'mpserve.socket']) {
    execFileSync('systemd-analyze', ['verify', '--man=no', path.join(folder, name)]);
  }
});

test('at an upgrade it names the new main process, and does not say that the service ends', async () => {
  const socket = path.join(folder, 'upgraded');
  using datagrams = new Datagrams(socket);
  const site = await Site.start('prefork', ['--workers', '1'], {}, { NOTIFY_SOCKET: socket });
  try {
    expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
    await eventually('the old server to end', () => !isAlive(site.server.pid));
    const { json } = await site.ask('GET', '/status');
    const heard = datagrams.take();
    expect(heard).toContain(`MAINPID=${json.pid}`);
    expect(heard.join('\n')).not.toContain('STOPPING=1');
    expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
    await eventually('the end of the new one', () => datagrams.take().join('\n').includes('STOPPING=1'));
  } finally {
    await site.remove();
  }
});
