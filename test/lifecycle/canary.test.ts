// A new generation that is worse than the old one in its first requests is rolled back.
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { Site } from '../helpers/site.ts';

const models = ['prefork', 'prethread', 'tpc', 'ppc'] as const;
/** A thread for each connection is chosen and judged as a process for each connection is. */
const longOnly = 'tpc';

/** Clients of both kinds, because keep-alive clients must reach the new generation, too. */
function load(site: Site): Clients[] {
  return [
    new Clients(site.server.url, 2, 'one-each', '/', [200, 500]),
    new Clients(site.server.url, 4, 'kept-alive', '/', [200, 500]),
  ];
}

const app = (body: string): string => `module.exports = (req, res) => { ${body} };`;

for (const model of models) {
  describe.concurrent(model, { tags: model === longOnly ? ['long'] : [] }, () => {
    test('a generation that is not worse replaces the old one, and the log has the figures', async () => {
      await using site = await Site.start(model, ['--canary', '20']);
      const clients = load(site);
      site.write(app('res.end("second")'));
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      const { requests, failed } = await site.server.waitFor('the figures', ({ event }) => event === 'canary-passed');
      expect({ requests: Number(requests) >= 20, failed }).toEqual({ requests: true, failed: 0 });
      await eventually('the new generation to answer all clients', () =>
        clients.every(({ heard }) => heard.has('second')),
      );
      for (const one of clients) expect((await one.stop()).failures).toEqual([]);
    });

    test('a generation that responds with 500 is rolled back', async () => {
      await using site = await Site.start(model, ['--canary', '20']);
      const clients = load(site);
      site.write(app('res.statusCode = 500; res.end("broken")'));
      const { status, json } = await site.ask('POST', '/reload');
      expect({ status, error: json.error }).toEqual({
        status: 500,
        error: expect.stringMatching(
          /rolled back: \d+ of their first \d+ responses had a status of 500 or above \(the old generation: 0 of \d+/,
        ),
      });
      expect(await site.server.waitFor('the log to say so', ({ event }) => event === 'operation-failed')).toBeDefined();
      await eventually('the new generation to exit', async () => {
        const { json: workers } = await site.ask('GET', '/workers');
        return workers.every(({ generation }: { generation: number }) => generation === 1);
      });
      expect((await site.ask('GET', '/status')).json).toMatchObject({ generation: 1, state: 'serving' });
      for (const one of clients) {
        const { failures, reconnects } = await one.stop();
        expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
      }
    });
  });
}

const dispatching = { prefork: ['--accept', 'dispatch'], ppc: [], tpc: [] };
for (const [model, args] of Object.entries(dispatching)) {
  const title = `${model} ${args.join(' ')}: connections of one request reach the new generation, and count`;
  test.concurrent(title, { tags: model === longOnly ? ['long'] : [] }, async () => {
    await using site = await Site.start(model, [...args, '--canary', '20']);
    const clients = new Clients(site.server.url, 4, 'one-each', '/');
    site.write(app('res.end("second")'));
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    const { requests } = await site.server.waitFor('the figures', ({ event }) => event === 'canary-passed');
    expect(Number(requests)).toBeGreaterThanOrEqual(20);
    expect((await clients.stop()).failures).toEqual([]);
  });
}

test.concurrent('a generation that crashes is rolled back, and so is a slow one', { tags: 'long' }, async () => {
  await using site = await Site.start('prefork', ['--workers', '2', '--canary', '50']);
  const clients = new Clients(site.server.url, 4, 'one-each');
  site.write(app('setTimeout(() => { throw new Error("overboard"); }); res.end("x")'));
  expect((await site.ask('POST', '/reload')).json.error).toMatch(
    /rolled back: (the app crashed|a (worker|thread) died): /,
  );
  site.write(app('setTimeout(() => res.end("slow"), 400)'));
  expect((await site.ask('POST', '/reload')).json.error).toMatch(
    /rolled back: the p99 of their first \d+ responses was/,
  );
  await clients.stop();
  expect((await site.ask('GET', '/status')).json).toMatchObject({ generation: 1 });
});
