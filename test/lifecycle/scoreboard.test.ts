// What `GET /workers` tells of each event loop: what it is doing, its requests in flight and its last one, also while it is blocked.
import { expect, test } from 'vitest';
import type { WorkerStatus } from '../../src/control/protocol.ts';
import type { LoopView } from '../../src/scoreboard/loop-view.ts';
import { eventually } from '../helpers/eventually.ts';
import { sizedModels } from '../helpers/placements.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const app = `
module.exports = (req, res) => {
  if (req.url === '/hold') return;
  if (req.url === '/begin') return void res.write('a');
  if (req.url === '/block') for (;;);
  if (req.url === '/busy') for (const end = Date.now() + 60; Date.now() < end;);
  req.resume().on('end', () => res.end('ok'));
};`;

const isThreaded = (model: string): boolean => ['tpc', 'prethread', 'hybrid'].includes(model);

async function workers(site: Site): Promise<readonly WorkerStatus[]> {
  const { status, json } = await site.ask('GET', '/workers');
  expect(status).toBe(200);
  return json;
}

const loops = async (site: Site): Promise<readonly LoopView[]> => (await workers(site)).flatMap(({ loops }) => loops);

/** Looks until there is such an event loop. */
async function seen(site: Site, what: string, isIt: (view: LoopView) => boolean): Promise<LoopView> {
  let found: LoopView | undefined;
  await eventually(what, async () => {
    found = (await loops(site)).find(isIt);
    return found !== undefined;
  });
  return found as LoopView;
}

const start = (model: string, args: readonly string[], config: object = {}): Promise<Site> =>
  Site.start(model, args, config, {}, undefined, app);

for (const { model, args, tags } of sizedModels) {
  test.concurrent(`${model}: an event loop says what it is doing`, { tags }, async () => {
    await using site = await start(model, [...args, '--admin', 'unix:SOCKET']);
    const { url } = site.server;

    using wire = await connect(url);
    expect((await wire.ask('GET /first?a=1')).body).toBe('ok');
    const resting = await seen(site, 'a connection at rest', ({ state }) => state === 'keep-alive');
    expect(resting).toMatchObject({ connections: 1, requests: 1, inFlight: 0, oldest: [] });
    expect(resting.tid > 0).toBe(isThreaded(model));
    expect(resting.last).toMatchObject({ method: 'GET', url: '/first?a=1', status: 200 });
    expect(resting.received).toBeGreaterThan(20);
    expect(resting.sent).toBeGreaterThan(20);
    expect(resting.heapBytes).toBeGreaterThan(1e6);

    await wire.request('GET /hold');
    const working = await seen(site, 'a request in the app', ({ state }) => state === 'working');
    expect(working).toMatchObject({ connections: 1, inFlight: 1 });
    expect(working.oldest[0]).toMatchObject({ method: 'GET', url: '/hold', client: '127.0.0.1' });
    expect(working.lagMs?.p99).toBeGreaterThanOrEqual(0);
    wire.close();

    using writer = await connect(url);
    await writer.request('GET /begin');
    expect(await seen(site, 'a response', ({ state }) => state === 'writing')).toMatchObject({ inFlight: 1 });
    writer.close();

    using reader = await connect(url);
    await reader.write('POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nabc');
    expect(await seen(site, 'a request', ({ state }) => state === 'reading')).toMatchObject({ inFlight: 1 });
    await reader.write('4567890');
    expect((await reader.response()).body).toBe('ok');
  });

  test.concurrent(`${model}: one that is blocked is told of by its host`, { tags }, async () => {
    await using site = await start(model, args);
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('ok');
    // What is told of it while it is blocked is what it told last.
    await seen(site, 'its event loop', ({ connections, requests }) => connections === 1 && requests === 1);
    await wire.request('GET /block');
    const blocked = await seen(site, 'the blocked one', ({ state, inFlight }) => state === 'blocked' && inFlight > 0);
    expect(blocked).toMatchObject({ connections: 1, requests: 1, inFlight: 1 });
    expect(blocked.oldest[0]).toMatchObject({ method: 'GET', url: '/block' });
    expect(blocked.staleMs).toBeGreaterThan(0);
    for (const { pid } of await workers(site)) process.kill(pid, 'SIGKILL');
  });
}

test('for a while after a look, a last request has its client and for how long it kept the event loop busy', async () => {
  await using site = await start('prefork', ['--workers', '1', '--admin', 'unix:SOCKET']);
  using wire = await connect(site.server.url);
  await wire.ask('GET /');
  const [before] = await loops(site);
  expect(before?.last).not.toHaveProperty('busyMs');
  await wire.ask('GET /busy');
  const { last } = await seen(site, 'the busy request', (view) => view.last?.url === '/busy');
  expect(last).toMatchObject({ status: 200, client: '127.0.0.1' });
  expect(last?.busyMs).toBeGreaterThan(50);
});

test('clients that ask at once share a look', async () => {
  await using site = await start('prefork', ['--workers', '2']);
  const answers = await Promise.all(Array.from({ length: 50 }, () => site.ask('GET', '/workers')));
  expect(new Set(answers.map(({ json }) => JSON.stringify(json))).size).toBeLessThan(10);
});
