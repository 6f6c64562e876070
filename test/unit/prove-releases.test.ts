// The releases that `mpserve prove` deploys to see them refused.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import type { Outcome } from '../../src/control/protocol.ts';
import { reloadRefused } from '../../src/prove/trial.ts';
import { releaseCode } from '../../src/prove/trials/late-crash.ts';

const release = { words: 'a bad release', code: '', error: 'rolled back' };
const reloadWith = (outcome: Outcome) =>
  reloadRefused(
    {
      server: { writeRelease: () => '/release.cjs', configure: () => {}, act: async () => outcome },
      sleep: async () => {},
    },
    release,
  );

test.each<[title: string, outcome: Outcome, failure: string | undefined]>([
  ['passes when the reload fails as it must', { ok: false, error: 'the workers are rolled back' }, undefined],
  [
    'fails when the reload fails for another reason',
    { ok: false, error: 'EACCES' },
    'the reload with a bad release failed for another reason: EACCES',
  ],
  [
    'fails when the reload is not tried',
    { ok: false, error: 'rolled back', refused: true },
    'the reload was not tried: rolled back',
  ],
  ['fails when the reload succeeds', { ok: true, message: '' }, 'the reload succeeded with a bad release'],
])('the trial of a bad release %s', async (_, outcome, failure) => {
  const error = await reloadWith(outcome).catch((reason: Error) => reason.message);
  expect(error).toBe(failure);
});

test('a release that fails late answers clients with the status of the app, and is ready', async () => {
  const servers: http.Server[] = [];
  const createServer = (handler: http.RequestListener): http.Server => {
    const server = http.createServer(handler);
    servers.push(server);
    return server;
  };
  new Function('require', releaseCode('', { status: 401, upload: { path: '/', status: 404 } }))(() => ({
    createServer,
  }));
  const [server] = servers as [http.Server];
  if (!server.listening) await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const statusOf = async (path: string, init?: RequestInit): Promise<number> => (await fetch(url + path, init)).status;
  try {
    expect(await statusOf('/')).toBe(401);
    expect(await statusOf('/', { method: 'POST', body: 'x' })).toBe(404);
    expect(await statusOf('/mpserve-prove-ready')).toBe(200);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
