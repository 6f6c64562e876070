// Upgrades: a successor replaces the running server.
import { existsSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { root } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const bin = path.join(root, 'bin/mpserve.js');

/** The successor is not a child of the test, so `Server` cannot wait for its exit. */
async function stopSuccessor(site: Site): Promise<void> {
  const { json } = await site.ask('GET', '/status');
  expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
  await eventually('the successor to exit', () => !isAlive(json.pid));
  await site.server.noneLeft();
}

describe('an upgrade', () => {
  test.each(['prefork', 'ppc', 'prethread'])('%s: loses no request and closes no connection', async (model) => {
    const site = await Site.start(model, ['--pid-file', 'PID']);
    try {
      const clients = [new Clients(site.server.url, 2, 'one-each'), new Clients(site.server.url, 3, 'kept-alive')];
      for (let i = 0; i < 2; i++) {
        const { json: before } = await site.ask('GET', '/status');
        expect(before.pid).toBe(Number(readFileSync(site.pidFile, 'utf8')));
        // At every moment one of the servers answers, and the pid file exists.
        const pids: unknown[] = [];
        let isOver = false;
        const polling = (async () => {
          while (!isOver) {
            pids.push((await site.ask('GET', '/status')).json.pid, Number(readFileSync(site.pidFile, 'utf8')));
          }
        })();
        expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200, json: { ok: true } });
        await eventually('the old server to exit', () => !isAlive(before.pid));
        isOver = true;
        await polling;
        const { json: after } = await site.ask('GET', '/status');
        expect(after).toMatchObject({ state: 'serving', model, generation: before.generation + 1 });
        expect(after.pid).not.toBe(before.pid);
        expect(new Set(pids)).toEqual(new Set([before.pid, after.pid]));
        const since = clients.map(({ done }) => done);
        await eventually('further answers', () => clients.every(({ done }, i) => done > (since[i] as number) + 10));
      }
      for (const one of clients) {
        const { failures, reconnects } = await one.stop();
        expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
      }
      await stopSuccessor(site);
      expect(existsSync(site.pidFile)).toBe(false);
    } finally {
      await site.remove();
    }
  });

  test('stopping the server during an upgrade also kills the successor that is starting', async () => {
    const slow = 'setTimeout(() => {}, 60_000);';
    const site = await Site.start('prefork', ['--workers', '1'], {}, {}, (folder) => {
      symlinkSync(bin, path.join(folder, 'mpserve'));
      return path.join(folder, 'mpserve');
    });
    try {
      unlinkSync(path.join(site.folder, 'mpserve'));
      writeFileSync(path.join(site.folder, 'mpserve'), slow);
      const upgrading = site.ask('POST', '/upgrade');
      await eventually('the upgrade to begin', async () => (await site.ask('GET', '/status')).json.doing === 'upgrade');
      expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
      expect(await upgrading).toMatchObject({ status: 500, json: { error: expect.stringMatching(/is stopping/) } });
      await site.server.noneLeft();
    } finally {
      await site.remove();
    }
  });

  test('SIGUSR2 starts the version that the command resolves to now, and the successor keeps switched settings', async () => {
    const site = await Site.start('prefork', [], {}, {}, (folder) => {
      symlinkSync(bin, path.join(folder, 'mpserve'));
      return path.join(folder, 'mpserve');
    });
    try {
      expect((await site.ask('POST', '/switch', '{"options": {"model": "prethread"}}')).status).toBe(200);
      // A new version that identifies itself.
      const link = path.join(site.folder, 'mpserve');
      unlinkSync(link);
      writeFileSync(link, `process.title = 'upgraded'; console.log('{"new": true}'); import(${JSON.stringify(bin)});`);
      site.server.child.kill('SIGUSR2');
      await eventually('the old server to exit', () => !isAlive(site.server.pid));
      expect(site.server.lines.find((line) => line.new)).toBeDefined();
      expect((await site.ask('GET', '/status')).json).toMatchObject({
        state: 'serving',
        model: 'prethread',
        generation: 3,
      });
      await stopSuccessor(site);
    } finally {
      await site.remove();
    }
  });

  test('the successor keeps the number of workers that an operator has set, unless another one is configured', async () => {
    const site = await Site.start('prefork', [], { workers: 1 });
    const upgrade = async () => {
      expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
      return (await site.ask('GET', '/status')).json.workers.wanted;
    };
    try {
      expect(await site.ask('POST', '/scale', '{"workers": "3"}')).toMatchObject({ status: 200 });
      expect(await upgrade()).toBe(3);
      expect(await upgrade()).toBe(3);
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      expect((await site.ask('GET', '/status')).json).toMatchObject({ workers: { wanted: 3, ready: 3 } });
      site.configure({ workers: 2 });
      expect(await upgrade()).toBe(2);
      await stopSuccessor(site);
    } finally {
      await site.remove();
    }
  });

  test('the successor is told its own numbers of the sockets, and only those', async () => {
    const site = await Site.start('prefork', ['--accept', 'reuseport', '--workers', '2'], {}, {}, (folder) => {
      symlinkSync(bin, path.join(folder, 'mpserve'));
      return path.join(folder, 'mpserve');
    });
    try {
      const link = path.join(site.folder, 'mpserve');
      unlinkSync(link);
      writeFileSync(
        link,
        `const { listeners, control } = JSON.parse(process.env._MPSERVE_HERITAGE);
        console.log(JSON.stringify({ told: [...listeners, control].map(({ fd, queues }) => ({ fd, queues })) }));
        import(${JSON.stringify(bin)});`,
      );
      expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
      const line = await site.server.waitFor('what it was told', ({ told }) => told !== undefined);
      // After standard input, output and error, and the channel.
      expect(line.told).toEqual([
        { fd: 4, queues: [4, 5] },
        { fd: 6, queues: [6] },
      ]);
      await stopSuccessor(site);
    } finally {
      await site.remove();
    }
  });

  test.each([
    [
      'exits',
      'process.exit(7);',
      /the new server failed to start; the old server keeps serving: it exited with code 7/,
    ],
    [
      'refuses its configuration',
      `process.argv.push('--threads', 'x'); import(${JSON.stringify(bin)});`,
      /--threads must be/,
    ],
    [
      'cannot load the app',
      `process.argv[2] = '/nowhere.cjs'; import(${JSON.stringify(bin)});`,
      /'\/nowhere.cjs' .* does not exist/,
    ],
  ])('if the new server %s, the old server keeps serving', async (_, code, reason) => {
    await using site = await Site.start('prefork', ['--workers', '1'], {}, {}, (folder) => {
      symlinkSync(bin, path.join(folder, 'mpserve'));
      return path.join(folder, 'mpserve');
    });
    const link = path.join(site.folder, 'mpserve');
    using wire = await connect(site.server.url);
    await wire.ask('GET /');
    unlinkSync(link);
    writeFileSync(link, code);
    const { code: status, stderr } = await site.ctl('upgrade');
    expect(status).toBe(1);
    expect(stderr).toMatch(reason);
    expect((await ask(site.control, 'GET', '/status')).json).toMatchObject({ pid: site.server.pid, state: 'serving' });
    expect((await wire.ask('GET /')).body).toBe('first');
    expect(site.server.lines.filter(({ event }) => event === 'operation-failed')).toHaveLength(1);
  });
});
