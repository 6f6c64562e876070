// What an app sends to the process around it: nothing of it ends the supervisor or another worker, or is taken for mpserve's
// own; and the app hears nothing that mpserve's processes say to each other.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { testPlacements } from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-forged-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The answer to a request; asks again while workers are being replaced. */
function get(server: Server, target: string): Promise<string> {
  return eventually(`an answer to ${target}`, async () => {
    if (server.child.exitCode !== null) throw new Error(`the supervisor has ended: ${server.stderr}`);
    try {
      const response = await fetch(`${server.url}${target}`, { headers: { connection: 'close' } });
      return response.ok && (await response.text());
    } catch {
      return undefined;
    }
  });
}

test.each([
  ['prefork', ['--workers', '2']],
  ['prethread', ['--threads', '2']],
])('under %s no message of the app ends the supervisor or accuses a request', async (model, size) => {
  const control = path.join(folder, `${model}.ctl`);
  await using server = await startServer({
    app: fixture('forging.cjs'),
    model,
    args: [...size, '--control', control, '--quarantine-after', '1', '--log-level', 'debug'],
  });
  const { forge, end, killed } = JSON.parse(await get(server, '/'));
  expect(forge).toBeGreaterThan(140);
  for (let which = 0; which < forge; which++) expect(await get(server, `/forge/${which}`)).toBe('sent');
  for (let more = 0; more < 10; more++) await get(server, '/');
  if (model === 'prefork') await server.waitFor('a report', ({ event }) => event === 'worker-message-invalid');
  expect(server.lines.filter(({ event }) => event === 'worker-died')).toEqual([]);
  expect((await ask(control, 'GET', '/quarantine')).json).toEqual([]);
  expect(server.plain).toEqual([]);
  for (const name of ['canary-passed', 'scaled', 'quarantined', 'request-lost', 'thread-lost', undefined]) {
    expect(server.lines.filter(({ event }) => event === name)).toEqual([]);
  }
  for (const line of server.lines) expect(JSON.stringify(line).length).toBeLessThan(200_000);
  // A request that ends its worker is rightly suspected, and no other one is.
  const kills = () => server.lines.filter(({ event }) => event === 'worker-killed').length;
  for (let which = 0; which < end; which++) {
    const before = kills();
    expect(await get(server, `/end/${which}`)).toBe('sent');
    // The app sends after its response, and some of it takes a while.
    if (which >= end - killed) await eventually('the worker to be killed', () => kills() > before);
    // When the control socket answers, the supervisor has read what came before, and has killed the worker if it does: the
    // next request must not be in flight there.
    await eventually('the worker to be replaced', async () => {
      const { workers } = (await ask(control, 'GET', '/status')).json;
      return workers.ready === workers.wanted;
    });
  }
  for (let more = 0; more < 10; more++) await get(server, '/');
  const { json } = await ask(control, 'GET', '/quarantine');
  expect(json.filter(({ url }: { url: string }) => !url.startsWith('/end/'))).toEqual([]);
  expect(server.plain).toEqual([]);
});

test('a process that a worker leaves behind cannot end the supervisor by the channel of that worker', async () => {
  const [app, bad, gone] = ['app.cjs', 'bad', 'gone'].map((name) => path.join(folder, name)) as [
    string,
    string,
    string,
  ];
  const leftBehind = `
const { existsSync, writeSync } = require('node:fs');
setInterval(() => {
  if (!existsSync(${JSON.stringify(gone)})) return;
  writeSync(3, '{"type":"ready"}\\n');
  writeSync(1, '{"seen":"said"}\\n');
  process.exit();
}, 10);`;
  writeFileSync(
    app,
    `
const { existsSync } = require('node:fs');
if (existsSync(${JSON.stringify(bad)})) {
  const options = { stdio: ['ignore', 'inherit', 'inherit', 3], detached: true };
  require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(leftBehind)}], options);
  process.exit(3);
}
module.exports = (req, res) => {
  if (req.url === '/hang') for (;;);
  res.end('here');
};`,
  );
  await using server = await startServer({
    app,
    model: 'prefork',
    args: ['--workers', '1', '--hang-timeout', '500ms'],
  });
  writeFileSync(bad, '');
  server.child.kill('SIGHUP');
  await server.waitFor('the reload to fail', ({ event }) => event === 'operation-failed');
  rmSync(bad);
  writeFileSync(gone, '');
  await server.waitFor('the message', ({ seen }) => seen === 'said');
  // The supervisor has looked at the event loops of all workers by then.
  using wire = await connect(server.url);
  await wire.request('GET /hang');
  await server.waitFor('the hang to be found', ({ event }) => event === 'hung');
  expect(await get(server, '/')).toBe('here');
});

test.each(['shared', 'dispatch'])(
  'under --accept %s the app hears nothing of ours, and cannot make its worker deaf',
  async (accept) => {
    await using server = await startServer({
      app: fixture('forging.cjs'),
      model: 'prefork',
      accept,
      args: ['--workers', '1', '--quarantine-after', '1'],
    });
    await get(server, '/');
    server.child.kill('SIGHUP');
    await server.waitFor('the reload', ({ event }) => event === 'reloaded');
    expect(JSON.parse(await get(server, '/')).heard).toEqual([]);
    const { pid } = JSON.parse(await get(server, '/deafen'));
    expect(JSON.parse(await get(server, '/'))).toMatchObject({ pid, heard: [] });
  },
);

testPlacements('the environment of a worker is the one that the server was started with', async (placement) => {
  await using server = await startServer(placement);
  using _ = await connect(server.url); // a process or a thread of its own, in some models
  // Another process of the same user can read it.
  const names = (pid: number): string[] => {
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
      return variables.map((text) => text.slice(0, text.indexOf('=')));
    } catch {
      return []; // it has just ended
    }
  };
  const workers = await eventually('a worker', () => {
    const found = server.tree().map(names);
    return found.some((all) => all.includes('NODE_ENV')) && found;
  });
  const added = new Set(workers.flat().filter((name) => !names(server.pid).includes(name)));
  expect([...added].sort()).toEqual(['NODE_ENV', 'PORT']);
});

test('a thread does not see the key of its first message', async () => {
  await using server = await startServer({ app: fixture('forging.cjs'), model: 'prethread', args: ['--threads', '1'] });
  const { keys } = JSON.parse(await get(server, '/'));
  expect(keys).toEqual(['settings']);
});
