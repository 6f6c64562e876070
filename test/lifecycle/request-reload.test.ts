// --unit request: reloads, switches between units, upgrades and stops under load lose no request.
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { losesNone } from '../helpers/lossless.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { answering, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const args = ['--unit', 'request', '--threads', '2'];
const load = { queueTimeout: '60s' };

describe.concurrent('with requests on threads', () => {
  test('a reload loses no request, and has the new code', async () => {
    await using site = await Site.start('prethread', args, load);
    await losesNone(site.server, async () => {
      site.write(answering('second'));
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    });
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('second');
  });

  test('a switch to the other unit and back loses no request', async () => {
    await using site = await Site.start('prethread', args, load);
    await losesNone(site.server, async () => {
      for (const unit of ['connection', 'request'])
        expect(await site.ask('POST', '/switch', JSON.stringify({ options: { unit } }))).toMatchObject({ status: 200 });
    });
  });

  test('a switch between the units and accept modes loses no request, and says the unit', async () => {
    await using site = await Site.start('hybrid', ['--workers', '2', '--threads', '2', '--accept', 'dispatch']);
    await losesNone(site.server, async () => {
      const there = await site.ctl('switch', '--unit', 'request');
      expect(there).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hybrid \(unit request\) is serving/) });
      expect(site.server.lines.find(({ event }) => event === 'switched')).toMatchObject({
        ...{ from: 'hybrid', model: 'hybrid', unit: 'request' },
        msg: expect.stringMatching(/^switched from hybrid to hybrid \(unit request\)/),
      });
      expect((await site.ask('GET', '/status')).json).toMatchObject({ model: 'hybrid', unit: 'request' });
      expect((await site.ask('GET', '/status')).json.balance).toBeUndefined();
      const balance = await site.ctl('balance', 'round-robin');
      expect(balance.stderr).toMatch(/with --unit request the thread that has been free for longest/);
      expect((await site.ctl('switch', '--unit', 'request')).stdout).toMatch(
        /^already running hybrid \(unit request\)/,
      );
      const back = await site.ctl('switch', '--unit', 'connection');
      expect(back).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hybrid is serving/) });
      expect((await site.ask('GET', '/config')).json.config).toMatchObject({ unit: 'connection', accept: 'dispatch' });
      const other = await site.ctl('switch', '--model', 'prethread', '--threads', '3', '--unit', 'request');
      expect(other).toMatchObject({ code: 0, stdout: expect.stringMatching(/^prethread \(unit request\) is serving/) });
    });
    const refused = await site.ctl('switch', '--model', 'ppc', '--unit', 'request');
    expect(refused.stderr).toMatch(/request needs --model prethread or hybrid: the model ppc has no pool of threads/);
  });

  test('a switch to another model and back loses no request', async () => {
    await using site = await Site.start('hybrid', [...args, '--workers', '2'], load);
    await losesNone(site.server, async () => {
      for (const model of ['prefork', 'prethread'])
        expect(await site.ask('POST', '/switch', JSON.stringify({ options: { model } }))).toMatchObject({
          status: 200,
        });
    });
  });

  test('an upgrade of the server loses no request', { tags: ['long'] }, async () => {
    const site = await Site.start('prethread', args, load);
    try {
      await losesNone(site.server, async () => {
        const { json: before } = await site.ask('GET', '/status');
        expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200, json: { ok: true } });
        await eventually('the old server to exit', () => !isAlive(before.pid));
      });
      const { json } = await site.ask('GET', '/status');
      process.kill(json.pid, 'SIGTERM');
      await eventually('the successor to exit', () => !isAlive(json.pid));
    } finally {
      await site.remove();
    }
  });

  test('a stop finishes the request that is in a thread', async () => {
    const code =
      'module.exports = (_req, res) => { console.log(\'{"seen":"begun"}\'); setTimeout(() => res.end("late"), 500); };';
    await using site = await Site.start('prethread', args, load, {}, undefined, code);
    using wire = await connect(site.server.url);
    const answer = wire.ask('GET /');
    await site.server.waitFor('the request to begin', ({ seen }) => seen === 'begun');
    site.server.child.kill('SIGTERM');
    expect((await answer).body).toBe('late');
  });

  test('a request that waits behind a slow one goes to the thread that is free first', async () => {
    const code = `module.exports = (req, res) => {
      if (req.url !== '/slow') return res.end('quick');
      for (const end = Date.now() + 3000; Date.now() < end; );
      res.end('slow');
    };`;
    await using site = await Site.start('prethread', args, load, {}, undefined, code);
    using slow = await connect(site.server.url);
    const answer = slow.ask('GET /slow');
    const wires = await Promise.all(Array.from({ length: 20 }, () => connect(site.server.url)));
    try {
      const quick = wires.map(async (wire) => (await wire.ask('GET /')).body);
      const order: string[] = [];
      void answer.then(({ body }) => order.push(body));
      for (const one of quick) void one.then((body) => order.push(body));
      await Promise.all([...quick, answer]);
      expect(order.at(-1)).toBe('slow');
    } finally {
      for (const wire of wires) wire.close();
    }
  });
});
