// Switching the model while clients that never retry send requests.
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { answering, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

/** To each model and from each. */
const aroundOnce = ['prefork', 'tpc', 'hybrid', 'ppc', 'prethread', 'prefork'];
/** Contains each ordered pair of models once. */
const eachToEach =
  `prefork ppc prefork tpc prefork prethread prefork hybrid prethread hybrid ppc hybrid tpc hybrid prefork
  prethread ppc prethread tpc ppc tpc prethread`.split(/\s+/);

test.concurrent('switching to each model closes no connection', () => closesNone(aroundOnce));

test.concurrent('switching from each model to each other closes no connection', { tags: 'long' }, async () => {
  const pairs = new Set(eachToEach.slice(1).map((to, i) => `${eachToEach[i]} ${to}`));
  expect(pairs.size).toBe(20);
  await closesNone(eachToEach);
});

async function closesNone(modelSequence: readonly string[]): Promise<void> {
  await using site = await Site.start('prefork', ['--workers', '2']);
  const clients = new Clients(site.server.url, 3, 'kept-alive');
  for (const model of modelSequence.slice(1)) {
    expect(await site.ask('POST', '/switch', JSON.stringify({ options: { model } }))).toMatchObject({ status: 200 });
    const { json } = await site.ask('GET', '/status');
    expect(json).toMatchObject({ state: 'serving', model });
    await eventually('the workers of the old model to exit', async () => {
      const { json: workers } = await site.ask('GET', '/workers');
      return workers.every(({ generation }: { generation: number }) => generation === json.generation);
    });
    const since = clients.done;
    await eventually('further answers', () => clients.done > since + 10);
  }
  const { failures, reconnects } = await clients.stop();
  expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
}

describe.concurrent('a switch', () => {
  test('reports the new settings and their source, and a reload keeps them', async () => {
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
      stdout: expect.stringMatching(/^hybrid is serving with 3 worker\(s\) and 1/),
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
    // Settings for the old model do not apply to the next one.
    expect((await site.ctl('switch', '--model', 'prethread')).code).toBe(0);
    expect((await site.ask('GET', '/config')).json.config).toMatchObject({ model: 'prethread', accept: 'shared' });
    expect((await site.ctl('switch', '--model', 'prethread')).stdout).toMatch(
      /already running prethread with these settings/,
    );
  });

  test('changes the number of workers and the accept mode of the same model', async () => {
    await using site = await Site.start('prefork', ['--workers', '1']);
    expect((await site.ctl('switch', '--accept', 'dispatch', '--workers', '2')).code).toBe(0);
    expect((await site.ask('GET', '/status')).json).toMatchObject({ model: 'prefork', workers: { wanted: 2 } });
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('first');
  });

  test('keeps the number of workers that an operator has set, unless one is given', async () => {
    await using site = await Site.start('prefork', ['--workers', '1']);
    const wanted = async () => (await site.ask('GET', '/status')).json.workers.wanted;
    const change = async (options: object) =>
      (await site.ask('POST', '/switch', JSON.stringify({ options }))).json.message;
    expect(await site.ask('POST', '/scale', '{"workers": "3"}')).toMatchObject({ status: 200 });
    expect(await change({ accept: 'dispatch' })).toMatch(/^prefork is serving with 3 worker\(s\)/);
    expect(await wanted()).toBe(3);
    expect(await change({ accept: 'dispatch' })).toBe('already running prefork with these settings');
    expect(await change({ workers: 1 })).toMatch(/^prefork is serving with 1 worker\(s\)/);
    expect(await wanted()).toBe(1);
    expect(await site.ask('POST', '/scale', '{"workers": "2"}')).toMatchObject({ status: 200 });
    expect(await change({ model: 'hybrid', workers: 1, threads: 1 })).toMatch(/^hybrid is serving with 1 worker\(s\)/);
  });

  test('keeps serving the same release of the app', async () => {
    await using site = await Site.start('prefork');
    site.write(answering('not yet'));
    expect((await site.ctl('switch', '--model', 'prethread')).code).toBe(0);
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /')).body).toBe('first');
  });

  test('that fails or is invalid changes nothing and reports the reason', async () => {
    await using site = await Site.start('prefork');
    using wire = await connect(site.server.url);
    await wire.ask('GET /');
    const options = (given: object) => site.ask('POST', '/switch', JSON.stringify({ options: given }));
    expect(await options({ model: 'fork' })).toMatchObject({
      status: 409,
      json: { refused: true, error: expect.stringMatching(/--model of mpserve ctl switch must be .*'fork'/) },
    });
    expect(await options({ bind: '8080' })).toMatchObject({
      status: 409,
      json: { error: expect.stringMatching(/^cannot switch 'bind'; use model, accept/) },
    });
    expect(await options({ threads: '9999', model: 'prethread' })).toMatchObject({ status: 409 });
    expect(await options({})).toMatchObject({
      status: 409,
      json: { error: expect.stringMatching(/no settings to switch/) },
    });
    expect(await site.ask('POST', '/switch', '{"options": {"model": {}}}')).toMatchObject({ status: 400 });
    expect((await site.ctl('switch')).stderr).toMatch(/no settings to switch; use for example --model prethread/);
    // The app of the new model cannot load, because the release has been removed.
    site.replaceRelease('throw new Error("spoiled");');
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
