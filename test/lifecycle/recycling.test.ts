// Workers that have had enough are replaced, and nobody notices.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { fixture, type Line, type Server, startServer } from '../helpers/server.ts';
import { blockFor, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const isRecycled = ({ event }: Line) => event === 'worker-recycled';
const recycled = (server: Server) => server.lines.filter(isRecycled);
const drain = ['--drain-quiet', '100ms', '--graceful-timeout', '5s'];

test.concurrent.each(['prefork', 'tpc'])('%s: --max-requests, under load', { timeout: 300_000 }, async (model) => {
  // A connection of tpc is dear.
  const [most, jitter] = model === 'tpc' ? ['10', '5'] : ['100', '50'];
  await using server = await startServer({
    app: fixture('life.cjs'),
    model,
    args: ['--max-requests', most, '--max-requests-jitter', jitter, ...drain],
  });
  const clients = new Clients(server.url, 4, 'one-each');
  await server.waitForMany('three replacements', isRecycled, 3);
  const { failures } = await clients.stop();
  expect(failures).toEqual([]);
  expect(recycled(server)[0]).toMatchObject({
    worker: expect.any(Number),
    reason: expect.stringMatching(/answered \d+ requests/),
  });
  expect(server.lines.filter(({ event }) => event === 'worker-died')).toEqual([]);
});

test.concurrent('--max-memory: an app that leaks loses no request', { timeout: 300_000 }, async () => {
  await using server = await startServer({
    app: fixture('leaking.cjs'),
    model: 'prefork',
    args: ['--max-memory', '160M', '--workers', '2', ...drain],
  });
  const clients = new Clients(server.url, 4, 'kept-alive');
  await server.waitForMany('two replacements', isRecycled, 2);
  const { failures } = await clients.stop();
  expect(failures).toEqual([]);
  expect(recycled(server)[0]).toMatchObject({ reason: expect.stringMatching(/^it has \d+ MiB of memory$/) });
});

test.concurrent('--max-age', async () => {
  await using server = await startServer({
    app: fixture('life.cjs'),
    args: ['--workers', '1', '--max-age', '500ms', ...drain],
  });
  const [first] = server.workers();
  await eventually('another worker', () => recycled(server).length > 0 && !server.workers().includes(first as number));
});

test.concurrent('in ppc, whose workers live for one connection, they do nothing, and a warning says so', async () => {
  await using server = await startServer({ model: 'ppc', args: ['--max-requests', '10'] });
  expect(server.lines.find(({ event }) => event === 'warning')).toMatchObject({
    warning: '--max-requests does nothing with the model ppc',
  });
});

/** Answers / at once, and others when a file of their name is there, or blocks its event loop then. */
const waiting = `const { existsSync } = require('node:fs');
module.exports = ({ url }, res) => {
  if (url === '/') return res.end();
  console.log(JSON.stringify({ seen: url }));
  const looking = setInterval(() => {
    if (!existsSync(__dirname + url)) return;
    clearInterval(looking);
    if (url === '/block') ${blockFor(600_000)}
    res.end('held');
  }, 10);
};`;

test.concurrent('a recycled thread that blocks and is killed cuts no other thread of a host that drains', async () => {
  const args = ['--threads', '1', '--max-requests', '1'];
  const config = { gracefulTimeout: '3s', probation: 0 };
  await using site = await Site.start('prethread', args, config, {}, undefined, waiting);
  const { server } = site;
  const begin = async (target: string) => {
    const wire = await connect(server.url);
    await wire.request(`GET ${target}`);
    await server.waitFor('the request to arrive', ({ seen }) => seen === target);
    return wire;
  };
  const tell = (target: string) => writeFileSync(path.join(site.folder, 'current', target), '');
  using blocked = await begin('/block');
  using other = await connect(server.url);
  await other.ask('GET /');
  await server.waitFor('another thread', ({ event }) => event === 'thread-recycled');
  using held = await begin('/held');
  tell('/block');
  site.configure({ ...config, gracefulTimeout: '10m' });
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  expect(await within('the thread to be killed', blocked.rest())).toHaveLength(0);
  await pause(1500); // the host waits for a killed thread for a third of this
  tell('/held');
  expect((await held.response()).body).toBe('held');
});
