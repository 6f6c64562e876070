// --unit request: reloads, switches between units, upgrades and stops under load lose no request.
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { answering, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const args = ['--unit', 'request', '--threads', '2'];
const load = { queueTimeout: '60s' };

async function losesNone(site: Site, act: () => Promise<unknown>): Promise<void> {
  const clients = new Clients(site.server.url, 3, 'kept-alive');
  await eventually('answers', () => clients.done > 10);
  await act();
  const since = clients.done;
  await eventually('further answers', () => clients.done > since + 10);
  const { failures, reconnects } = await clients.stop();
  expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
}

describe.concurrent('with requests on threads', () => {
  test('a reload loses no request, and has the new code', async () => {
    await using site = await Site.start('prethread', args, load);
    await losesNone(site, async () => {
      site.write(answering('second'));
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    });
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('second');
  });

  test('a switch to the other unit and back loses no request', async () => {
    await using site = await Site.start('prethread', args, load);
    await losesNone(site, async () => {
      for (const unit of ['connection', 'request'])
        expect(await site.ask('POST', '/switch', JSON.stringify({ options: { unit } }))).toMatchObject({ status: 200 });
    });
  });

  test('a switch to another model and back loses no request', async () => {
    await using site = await Site.start('hybrid', [...args, '--workers', '2'], load);
    await losesNone(site, async () => {
      for (const model of ['prefork', 'prethread'])
        expect(await site.ask('POST', '/switch', JSON.stringify({ options: { model } }))).toMatchObject({
          status: 200,
        });
    });
  });

  test('an upgrade of the server loses no request', { tags: ['long'] }, async () => {
    const site = await Site.start('prethread', args, load);
    try {
      await losesNone(site, async () => {
        expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200, json: { ok: true } });
        // Its pipes stay open, as the successor has them, too.
        await eventually('the old server to exit', () => !isAlive(site.server.pid));
      });
      const { json } = await site.ask('GET', '/status');
      expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
      await eventually('the successor to exit', () => !isAlive(json.pid));
      await site.server.noneLeft();
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
