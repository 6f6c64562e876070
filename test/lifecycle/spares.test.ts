// Processes and threads that wait for connections with the app loaded.
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const loaded = (server: Server) => server.lines.filter(({ seen }) => seen === 'loaded').length;

test.concurrent.each(['ppc', 'tpc'])('%s: each serves one connection, and another takes its place', async (model) => {
  await using server = await startServer({ app: fixture('life.cjs'), model, args: ['--spares', '3'] });
  await eventually('three that wait', () => loaded(server) === 3);
  const served = new Set<string>();
  for (let i = 1; i <= 5; i++) {
    using wire = await connect(server.url);
    served.add((await wire.ask('GET /')).body);
    served.add((await wire.ask('GET /')).body);
    await eventually('another one', () => loaded(server) === 3 + i);
  }
  expect(served.size).toBe(5);
});

test.concurrent.each(['ppc', 'tpc'])('%s: more clients than spares lose nothing', async (model) => {
  await using server = await startServer({ app: fixture('life.cjs'), model, args: ['--spares', '2'] });
  const clients = new Clients(server.url, 6, 'one-each');
  await eventually('answers', () => clients.done > 20, 20_000);
  expect((await clients.stop()).failures).toEqual([]);
});

test.concurrent.each(['ppc', 'tpc'])('%s: spares that die are replaced, and cost no client anything', async (model) => {
  await using server = await startServer({
    app: fixture('dies-idle.cjs'),
    model,
    args: ['--spares', '1', '--probation', '0'],
  });
  await eventually('some deaths', () => server.lines.filter(({ seen }) => seen === 'dies').length >= 2);
  using wire = await connect(server.url);
  expect((await wire.ask('GET /')).status).toBe(200);
});

test.concurrent.each(['ppc', 'tpc'])(
  '%s: a spare has answered a request of its own before its client comes',
  async (model) => {
    const app = fixture('counts-requests.cjs');
    const early = `--node-arg=--require=${app}`;
    for (const [spares, body] of [
      ['1', 'request 2'],
      ['0', 'request 1'],
    ] as const) {
      await using server = await startServer({ app, model, args: [early, '--spares', spares, '--probation', '0'] });
      using first = await connect(server.url); // may be who has tried the app
      await first.ask('GET /');
      using wire = await connect(server.url);
      expect((await wire.ask('GET /')).body).toBe(body);
    }
  },
);

test.concurrent('where there is nothing to wait with, a warning says so', async () => {
  await using server = await startServer({ args: ['--spares', '1'] });
  const warnings = server.lines.filter(({ event }) => event === 'warning').map(({ warning }) => warning);
  expect(warnings).toContain('--spares does nothing with the model prefork');
});
