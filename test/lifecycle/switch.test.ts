// Another model serves from now on, under clients that never retry.
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { answering, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

/** Each model once from and once to each other. */
const walk = `prefork ppc prefork tpc prefork prethread prefork hybrid prethread hybrid ppc hybrid tpc hybrid prefork
  prethread ppc prethread tpc ppc tpc prethread`.split(/\s+/);

test.concurrent('from each model to each other, twenty switches close no connection', async () => {
  const pairs = new Set(walk.slice(1).map((to, i) => `${walk[i]} ${to}`));
  expect(pairs.size).toBe(20);
  await using site = await Site.start('prefork', ['--workers', '2']);
  const clients = new Clients(site.server.url, 3, 'kept-alive');
  for (const model of walk.slice(1)) {
    expect(await site.ask('POST', '/switch', JSON.stringify({ options: { model } }))).toMatchObject({ status: 200 });
    const { json } = await site.ask('GET', '/status');
    expect(json).toMatchObject({ state: 'serving', model });
    await eventually('the model before to have gone', async () => {
      const { json: workers } = await site.ask('GET', '/workers');
      return workers.every(({ generation }: { generation: number }) => generation === json.generation);
    });
    const since = clients.done;
    await eventually('further answers', () => clients.done > since + 10);
  }
  const { failures, reconnects } = await clients.stop();
  expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
});

describe.concurrent('a switch', () => {
  test('tells what serves, is kept by a reload, and says where its settings come from', async () => {
    await using site = await Site.start('prefork');
    const outcome = await site.ctl(
      'switch',
      '--model',
      'hybrid',
      '--workers',
      '3',
      '--threads',
      '1',
      '--accept',
      'shared',
    );
    expect(outcome).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^hybrid serves with 3 worker\(s\) and 1/),
    });
    expect(site.server.lines.find(({ event }) => event === 'switched')).toMatchObject({
      from: 'prefork',
      model: 'hybrid',
    });
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    const { stdout } = await site.ctl('config');
    expect(stdout).toMatch(/model +hybrid +from mpserve ctl switch --model/);
    expect(stdout).toMatch(/workers +3 +from mpserve ctl switch --workers/);
    expect(await site.ask('POST', '/scale', '{"workers": "-1"}')).toMatchObject({ status: 200 });
    // What was said for one model says nothing about the next.
    expect((await site.ctl('switch', '--model', 'prethread')).code).toBe(0);
    expect((await site.ask('GET', '/config')).json.config).toMatchObject({ model: 'prethread', accept: 'shared' });
    expect((await site.ctl('switch', '--model', 'prethread')).stdout).toMatch(/serves so already/);
  });

  test('within a model: other workers, another way to accept', async () => {
    await using site = await Site.start('prefork', ['--workers', '1']);
    expect((await site.ctl('switch', '--accept', 'dispatch', '--workers', '2')).code).toBe(0);
    expect((await site.ask('GET', '/status')).json).toMatchObject({ model: 'prefork', workers: { wanted: 2 } });
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('first');
  });

  test('serves the release that was served before it', async () => {
    await using site = await Site.start('prefork');
    site.write(answering('not yet'));
    expect((await site.ctl('switch', '--model', 'prethread')).code).toBe(0);
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('first');
  });

  test('that cannot be changes nothing, and says why', async () => {
    await using site = await Site.start('prefork');
    using wire = await connect(site.server.url);
    await wire.ask('GET /');
    const options = (given: object) => site.ask('POST', '/switch', JSON.stringify({ options: given }));
    expect(await options({ model: 'fork' })).toMatchObject({
      status: 500,
      json: { error: expect.stringMatching(/--model of mpserve ctl switch must be .*'fork'/) },
    });
    expect(await options({ bind: '8080' })).toMatchObject({
      status: 409,
      json: { error: expect.stringMatching(/^'bind' cannot be switched; model, accept/) },
    });
    expect(await options({ threads: '9999', model: 'prethread' })).toMatchObject({ status: 500 });
    expect(await options({})).toMatchObject({ status: 409, json: { error: expect.stringMatching(/say what/) } });
    expect(await site.ask('POST', '/switch', '{"options": {"model": {}}}')).toMatchObject({ status: 400 });
    expect((await site.ctl('switch')).stderr).toMatch(/say what to switch to, such as --model prethread/);
    // The next one's app cannot be loaded any more: the release is no longer there.
    site.breakRelease();
    const failed = await options({ model: 'prethread' });
    expect(failed).toMatchObject({ status: 500, json: { error: expect.stringMatching(/the app .* failed to load/) } });
    expect((await site.ask('GET', '/status')).json).toMatchObject({
      state: 'serving',
      model: 'prefork',
      generation: 1,
    });
    expect((await wire.ask('GET /')).body).toBe('first');
    expect((await site.ask('GET', '/config')).json.config.model).toBe('prefork');
  });
});
