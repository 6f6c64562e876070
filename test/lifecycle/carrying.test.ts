// Kept-alive connections whose clients never retry stay open, whatever is done to the workers behind them.
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { forPlacements, repeating } from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { answering, blockFor, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

/** Clients under which something is done to a server; each answer must come on the connection that it was asked on. */
async function undisturbed(url: string, work: (clients: Clients) => Promise<void>): Promise<void> {
  const clients = new Clients(url, 4, 'kept-alive');
  await eventually('the first answers', () => clients.done > 20);
  await work(clients);
  const since = clients.done;
  await eventually('further answers', () => clients.done > since + 20);
  const { failures, reconnects } = await clients.stop();
  expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
}

const told = (server: Server, name: string) => server.lines.filter(({ event }) => event === name);

/** All of them, at the end of the block. */
const disposing = (all: readonly Disposable[]): Disposable => ({
  [Symbol.dispose]: () => {
    for (const one of all) one[Symbol.dispose]();
  },
});

forPlacements(({ model, accept, args = [] }) => {
  // A client that waits for the others is not one that keeps its connection idle.
  const flags = [...(accept ? ['--accept', accept] : []), ...args, '--keep-alive-timeout', '60s'];

  test('a reload closes no connection, and the new release answers on all of them', async () => {
    await using site = await Site.start(model, flags);
    using idle = await connect(site.server.url);
    expect((await idle.ask('GET /')).body).toBe('first');
    using fresh = await connect(site.server.url);
    await undisturbed(site.server.url, async ({ heard }) => {
      for (const release of ['second', 'third']) {
        site.write(answering(release));
        expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
        await eventually('the new release to answer', () => heard.has(release));
        const before = idle.socket.bytesRead;
        await eventually('an idle connection to be carried over', async () => {
          return (await idle.ask('GET /')).body === release;
        });
        expect(idle.socket.bytesRead).toBeGreaterThan(before);
      }
    });
    await eventually('it to be there, too', async () => (await fresh.ask('GET /')).body === 'third');
    expect(told(site.server, 'request-cut')).toEqual([]);
  });
});

describe.each(['ppc', 'tpc'])('%s, when each start takes longer than --graceful-timeout', (model) => {
  const kept = ['--keep-alive-timeout', '60s'];
  const limits = { gracefulTimeout: '300ms' };

  test('connections at rest go over one after the other, and a request in flight is cut all the same', async () => {
    await using site = await Site.start(model, kept, limits);
    site.write('module.exports = (req, res) => req.url === "/" && res.end("first");');
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    const wires = await Promise.all(Array.from({ length: 8 }, () => connect(site.server.url)));
    using _ = disposing(wires);
    for (const wire of wires) expect((await wire.ask('GET /')).body).toBe('first');
    using busy = await connect(site.server.url);
    expect((await busy.ask('GET /')).body).toBe('first');
    await busy.request('GET /unanswered');
    site.write(blockFor(400) + answering('second'));
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    // Only then are the others asked: a request of theirs that is in flight at this moment would be cut, too.
    expect(await busy.rest()).toHaveLength(0);
    const cut = await site.server.waitFor('the cut', ({ event }) => event === 'request-cut');
    expect(cut).toMatchObject({ url: '/unanswered' });
    for (const wire of wires) {
      await eventually('the new release', async () => (await wire.ask('GET /')).body === 'second', 50_000);
    }
    expect(told(site.server, 'worker-killed')).toEqual([]);
  });

  test('they are closed when no start succeeds within --boot-timeout', async () => {
    await using site = await Site.start(model, [...kept, '--boot-timeout', '2s'], limits);
    const wires = await Promise.all(Array.from({ length: 3 }, () => connect(site.server.url)));
    using _ = disposing(wires);
    for (const wire of wires) expect((await wire.ask('GET /')).body).toBe('first');
    const tried = JSON.stringify(path.join(site.folder, 'tried'));
    const once = `const fs = require('node:fs'); if (fs.existsSync(${tried})) throw new Error('no more'); fs.writeFileSync(${tried}, '');`;
    site.write(once + answering('second'));
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    await eventually('the others to be closed', () => wires.filter(({ socket }) => socket.readableEnded).length >= 2);
  });
});

for (const model of ['prefork', 'hybrid'])
  test.concurrent(`${model}: fewer workers close no connection`, repeating(model, ['prefork', 'hybrid']), async () => {
    await using site = await Site.start(model, ['--workers', '3']);
    await undisturbed(site.server.url, async () => {
      for (const change of ['-1', '-1', '+2', '-2']) {
        expect(await site.ask('POST', '/scale', JSON.stringify({ workers: change }))).toMatchObject({ status: 200 });
      }
      await eventually('the others to have gone', async () => (await site.ask('GET', '/workers')).json.length === 1);
    });
  });

const recycled = { prefork: 'worker-recycled', prethread: 'thread-recycled' };

for (const [model, event] of Object.entries(recycled)) {
  const title = `${model}: a replacement for what has served enough closes no connection`;
  test.concurrent(title, repeating(model, Object.keys(recycled)), async () => {
    const often = ['--max-requests', '60', '--max-requests-jitter', '30'];
    await using server = await startServer({ app: fixture('life.cjs'), model, args: often });
    await undisturbed(server.url, async () => {
      await server.waitForMany('replacements', (line) => line.event === event, 3);
    });
  });
}

test.concurrent('connections of a Unix socket are carried over, too', async () => {
  await using site = await Site.start('prethread', ['--bind', 'unix:SOCKET']);
  using wire = await connect(site.server.urls[1] as string);
  await wire.ask('GET /');
  site.write(answering('second'));
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  await eventually('the new release', async () => (await wire.ask('GET /')).body === 'second');
});

test.concurrent('a request that is on its way when its worker leaves is answered by another, whole', async () => {
  await using site = await Site.start('prefork', ['--workers', '1']);
  const wires = await Promise.all(Array.from({ length: 4 }, () => connect(site.server.url)));
  for (const wire of wires) expect((await wire.ask('GET /')).body).toBe('first');
  const [half] = wires;
  await half?.write('GET / HTTP/1.1\r\nhost: te');
  site.write(answering('second'));
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  await half?.write('st\r\n\r\n');
  // Its first bytes were the old worker's, so that answers, and the next one is the new worker's.
  expect((await half?.response())?.body).toBe('first');
  for (const wire of wires) {
    await eventually('the new release', async () => (await wire.ask('GET /')).body === 'second');
    wire.close();
  }
  expect(told(site.server, 'request-cut')).toEqual([]);
});

test.concurrent('those that speak another protocol keep no place from one that comes to rest late', async () => {
  await using site = await Site.start('ppc');
  const release = (name: string): string => `
    const server = require('node:http').createServer((req, res) => {
      setTimeout(() => res.end('${name}'), req.url === '/late' ? 2000 : 0);
    });
    server.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: own\\r\\n\\r\\n');
      socket.resume().on('end', () => socket.end());
    });
    server.listen(3000);`;
  site.write(release('first'));
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  const others = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const other = await connect(site.server.url);
      expect((await other.ask('GET /', { connection: 'upgrade', upgrade: 'own' })).status).toBe(101);
      return other;
    }),
  );
  using _ = disposing(others);
  using late = await connect(site.server.url);
  expect((await late.ask('GET /')).body).toBe('first');
  await late.request('GET /late');
  site.write(release('second'));
  const reloading = site.ask('POST', '/reload');
  expect((await late.response()).body).toBe('first');
  await eventually('it to be carried over', async () => (await late.ask('GET /')).body === 'second');
  for (const other of others) other.close(); // the old workers wait for them
  expect(await reloading).toMatchObject({ status: 200 });
});

test.concurrent('a connection that idles where it was carried to is closed after --keep-alive-timeout, without a word', async () => {
  await using site = await Site.start('prefork', [
    '--workers',
    '1',
    '--keep-alive-timeout',
    '1500ms',
    '--header-timeout',
    '300ms',
  ]);
  using wire = await connect(site.server.url);
  await wire.ask('GET /');
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  expect(await wire.rest()).toHaveLength(0);
});

test.concurrent('--max-requests-per-connection counts what was asked before a connection was carried over', async () => {
  await using site = await Site.start('prefork', ['--workers', '1', '--max-requests-per-connection', '3']);
  using wire = await connect(site.server.url);
  for (const connection of ['keep-alive', 'keep-alive', 'close']) {
    expect((await wire.ask('GET /')).headers.connection).toBe(connection);
    if (connection !== 'close') expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  }
});

test.concurrent('--no-migrate: an idle connection is closed when it has been quiet', async () => {
  await using site = await Site.start('prefork', ['--workers', '1', '--no-migrate']);
  using wire = await connect(site.server.url);
  await wire.ask('GET /');
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  expect(await wire.rest()).toHaveLength(0);
});

test.concurrent('if the internals of Node are not supported, a warning says so and connections are closed', async () => {
  const strange = `--require=${fixture('strange-node.cjs')}`;
  await using site = await Site.start('prefork', ['--workers', '1'], {}, { NODE_OPTIONS: strange });
  const { warning } = await site.server.waitFor('a warning', ({ warning }) => /migration is off/.test(String(warning)));
  expect(warning).toMatch(/connection migration is off: .* \(a parser never counts as idle\)/);
  using wire = await connect(site.server.url);
  await wire.ask('GET /');
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  expect(await wire.rest()).toHaveLength(0);
});

test.concurrent('prethread: connections that wait for a thread when their worker is replaced have one of the next', async () => {
  const flags = ['--accept', 'dispatch', '--threads', '1', '--graceful-timeout', '5s'];
  await using site = await Site.start('prethread', flags);
  site.write(`require('node:http').createServer((req, res) => {
    if (req.url === '/die') process.exit(7);
    res.end('mortal');
  }).listen(3000);`);
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  using mortal = await connect(site.server.url);
  await eventually('the new release', async () => (await mortal.ask('GET /')).body === 'mortal');
  site.replaceRelease('throw new Error("spoiled");'); // whatever replaces the thread cannot load it
  await mortal.request('GET /die');
  await site.server.waitFor('a failed replacement', ({ event }) => event === 'thread-unfit');
  using waiting = await connect(site.server.url);
  await waiting.request('GET /');
  site.write(answering('second'));
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  expect((await waiting.response()).body).toBe('second');
  expect(told(site.server, 'connection-lost')).toEqual([]);
});
