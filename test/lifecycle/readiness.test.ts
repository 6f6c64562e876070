// What the app itself has to say: when it is ready, and requests that it takes too long for.
import { expect, test } from 'vitest';
import { testPlacements, testSomePlacements, units } from '../helpers/placements.ts';
import { fixture, runCli, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

testPlacements('--ready-path is asked until the answer is good', async (placement) => {
  const args = [...(placement.args ?? []), '--ready-path', '/healthz'];
  await using server = await startServer({ ...placement, app: fixture('healthy-later.cjs'), args });
  using wire = await connect(server.url);
  const { status, body } = await wire.ask('GET /');
  expect({ status, body }).toEqual({ status: 200, body: expect.stringMatching(/^asked [3-9]/) });
});

test.concurrent('an app that never says it is ready', async () => {
  const args = ['--bind', '127.0.0.1:0', '--ready-path', '/gone', '--boot-timeout', '2s'];
  const { code, stderr } = await runCli([fixture('healthy-later.cjs'), ...args]);
  expect(code).toBe(4);
  expect(stderr).toMatch(
    /^mpserve: GET \/gone \(--ready-path\) is answered with 503, 2000 ms after the app had loaded \[app /,
  );
});

testSomePlacements(units, '--request-deadline', async (placement) => {
  const args = [...(placement.args ?? []), '--request-deadline', '300ms'];
  await using server = await startServer({ ...placement, app: fixture('healthy-later.cjs'), args });
  using wire = await connect(server.url);
  const { status, headers } = await wire.ask('GET /never', { 'x-request-id': 'slow-one' });
  expect({ status, id: headers['x-request-id'] }).toEqual({ status: 504, id: 'slow-one' });
  await server.waitFor('the app to be told', ({ aborted }) => aborted === '/never');
  expect(await server.waitFor('the log to say so', ({ event }) => event === 'request-overdue')).toMatchObject({
    reqId: 'slow-one',
    url: '/never',
  });
});

test.concurrent('HEAD gets the head alone of what GET gets', async () => {
  const args = ['--workers', '1', '--request-deadline', '50ms'];
  await using server = await startServer({ app: fixture('healthy-later.cjs'), args });
  const ask = async (method: string) => {
    using wire = await connect(server.url);
    const { status, headers } = await wire.ask(`${method} /never`, { 'x-request-id': 'slow-one' });
    expect(await wire.rest()).toHaveLength(0);
    expect(Date.parse(headers.date ?? '')).not.toBeNaN();
    return { status, headers: { ...headers, date: '' } };
  };
  expect(await ask('HEAD')).toEqual(await ask('GET'));
});
