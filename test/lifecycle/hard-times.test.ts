// When the system refuses, when the app hangs or loads badly: what it costs, and that it costs no more.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { forPlacements, placements, testPlacements } from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

/** The status of the answer, or 0 if the connection was closed without one. */
async function ask(server: Server, target = '/'): Promise<number> {
  try {
    using wire = await connect(server.url);
    await wire.request(`GET ${target}`, { connection: 'close' });
    return (await wire.response()).status;
  } catch {
    return 0;
  }
}

testPlacements(
  'clients for which there is no descriptor wait, and the log says so',
  async ({ model, accept, args = [] }) => {
    await using server = await startServer({
      app: fixture('life.cjs'),
      model,
      ...(accept && { accept }),
      args,
      node: '/bin/sh',
      script: fixture('few-descriptors.sh'),
      env: { NODE: process.execPath },
    });
    const workers = server.workers();
    const clients = model === 'ppc' || model === 'tpc' ? 20 : 60; // more than there are descriptors for
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'mpserve-hard-')), 'held');
    writeFileSync(file, '');
    try {
      const answers = Array.from({ length: clients }, () => ask(server, `/held?by=${file}`));
      // How many are left is not known elsewhere.
      const isKnown = process.platform === 'linux';
      if (isKnown) await server.waitFor('the report', ({ event }) => event === 'descriptors-used-up');
      rmSync(file);
      const statuses = await Promise.all(answers);
      if (isKnown) expect(statuses).toEqual(Array(clients).fill(200));
    } finally {
      rmSync(path.dirname(file), { recursive: true });
    }
    await eventually('it to serve again', async () => (await ask(server)) === 200);
    if (model !== 'ppc') expect(server.workers()).toEqual(workers);
    expect(server.lines.filter(({ event }) => event === 'worker-died' || event === 'thread-lost')).toEqual([]);
    expect(server.stderr).toBe('');
  },
);

test.concurrent('many threads that accept leave each other descriptors', async () => {
  await using server = await startServer({
    app: fixture('life.cjs'),
    model: 'prethread',
    accept: 'shared',
    args: ['--threads', '16'],
    node: '/bin/sh',
    script: fixture('few-descriptors.sh'),
    env: { NODE: process.execPath, LIMIT: '200' }, // without a connection it has some 140 open
  });
  const answers = await Promise.all(Array.from({ length: 250 }, () => ask(server, '/wait?ms=100')));
  if (process.platform !== 'linux') return; // how many are left is not known there
  expect(answers).toEqual(Array(250).fill(200));
  await server.waitFor('the report', ({ event }) => event === 'descriptors-used-up');
});

test.concurrent('connections for which a worker has no descriptor go to another one, until it has', async () => {
  await using server = await startServer({
    app: fixture('full.cjs'),
    model: 'prefork',
    accept: 'dispatch',
    args: ['--workers', '2', '--balance', 'round-robin'],
    node: '/bin/sh',
    script: fixture('few-descriptors.sh'),
    env: { NODE: process.execPath, LIMIT: '200' },
  });
  using wire = await connect(server.url);
  const { body: full } = await wire.ask('GET /fill');
  const visit = async (): Promise<string> => {
    using other = await connect(server.url);
    const { body } = await other.ask('GET /');
    return body;
  };
  const pids = await Promise.all(Array.from({ length: 20 }, visit));
  expect(pids).not.toContain(full);
  await wire.ask('GET /free');
  await eventually('both to serve again', async () => (await visit()) === full);
});

test.concurrent('a thread for whose sockets there is no descriptor accepts when there is one', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-hard-'));
  try {
    const app = path.join(folder, 'app.cjs');
    const release = path.join(folder, 'release');
    writeFileSync(
      app,
      `const fs = require('node:fs');
module.exports = (req, res) => res.end('here');
const taken = [];
try {
  for (;;) taken.push(fs.openSync('/dev/null'));
} catch {}
fs.closeSync(taken.pop()); // a thread that is ready needs two
const timer = setInterval(() => {
  if (!fs.existsSync(${JSON.stringify(release)})) return;
  clearInterval(timer);
  for (const fd of taken) fs.closeSync(fd);
}, 10);`,
    );
    await using server = await startServer({
      app,
      model: 'prethread',
      accept: 'shared',
      args: ['--threads', '1'],
      node: '/bin/sh',
      script: fixture('few-descriptors.sh'),
      env: { NODE: process.execPath, LIMIT: '100' },
    });
    writeFileSync(release, '');
    expect(await ask(server)).toBe(200);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

forPlacements(
  (placement) => {
    test('who hangs is given no further connections', async () => {
      const { model, args = [] } = placement;
      await using server = await startServer({
        app: fixture('life.cjs'),
        model,
        accept: 'dispatch',
        args: [...args, '--graceful-timeout', '300ms'],
      });
      using wire = await connect(server.url);
      await wire.request('GET /hang');
      await server.waitFor('the app to hang', ({ url }) => url === '/hang');
      let attemptMs = 250;
      await eventually('connections to go elsewhere', async () => {
        attemptMs *= 2; // on a slow machine the answers need more

        const wires = await Promise.all(Array.from({ length: 6 }, () => connect(server.url)));
        try {
          for (const wire of wires) await wire.request('GET /');
          const all = () => wires.every(({ socket }) => socket.bytesRead > 0);
          return await eventually('an answer to each', all, attemptMs).then(
            () => true,
            () => false,
          );
        } finally {
          for (const wire of wires) wire.close();
        }
      });
    });
  },
  placements.filter(({ accept }) => accept === 'dispatch'),
);

test.concurrent.each(['ppc', 'tpc'])(
  '%s: SIGTERM while a connection waits for the app to load answers it',
  async (model) => {
    const held = path.join(tmpdir(), `mpserve-loading-${process.pid}-${model}`);
    const env = { HELD: held };
    await using server = await startServer({ app: fixture('life-slow-load.mjs'), model, env });
    const loading = () => server.lines.filter(({ seen }) => seen === 'loading').length;
    expect(loading()).toBe(1);
    writeFileSync(held, '');
    using wire = await connect(server.url);
    await wire.request('GET /');
    try {
      await eventually('the app to load', () => loading() === 2);
      server.child.kill('SIGTERM');
      await server.waitFor('the stop to begin', ({ event }) => event === 'stopping');
    } finally {
      rmSync(held);
    }
    let answer = await wire.response();
    // Its worker may hear of the signal only when this answer has begun; then the next one is the last.
    while (answer.headers.connection !== 'close') {
      expect(answer).toMatchObject({ status: 200, body: 'loaded' });
      answer = await wire.ask('GET /');
    }
    expect(answer).toMatchObject({ status: 200, body: 'loaded' });
    expect(await wire.rest()).toHaveLength(0);
    expect((await server.exit).code).toBe(0);
    expect(server.lines.filter(({ event }) => event === 'connection-lost')).toEqual([]);
  },
);

test.concurrent.each([
  ['worker', 'prefork', ['--workers', '1'], ['worker-died', 'down', 'worker-died', 'worker-unfit']],
  ['thread', 'prethread', ['--threads', '1'], ['thread-lost', 'down', 'thread-unfit', 'thread-unfit']],
])('a %s that cannot load the app again is tried until it can', async (_, model, args, events) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  try {
    const env = { LOADS: path.join(folder, 'loads') };
    await using server = await startServer({ app: fixture('life-relapse.cjs'), model, args, env });
    expect(await ask(server, '/exit')).toBe(0);
    await eventually('an answer', async () => (await ask(server)) === 200);
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).body).toBe('load 4');
    const told = server.lines.filter(({ level, event }) => Number(level) >= 50 && event !== 'request-lost');
    expect(told.map(({ event }) => event)).toEqual(events);
    const reason = told.find(({ event }) => String(event).endsWith('unfit'))?.reason;
    expect(String(reason)).toMatch(/not today|ended the worker while it was loading/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
