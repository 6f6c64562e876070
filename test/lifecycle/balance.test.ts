// --balance: which worker or thread gets a connection, with the built server and real clients.
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import type { Line } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connectOptions, Wire } from '../helpers/wire.ts';

const whoAnswers = `
const { threadId } = require('node:worker_threads');
module.exports = (_req, res) => res.end(process.pid + ' ' + threadId);
`;

const dispatching = [
  { model: 'prefork', two: ['--workers', '2'] },
  { model: 'prethread', two: ['--threads', '2'] },
] as const;

/** Sends a request on a new connection. @returns it, and who has answered */
async function visit(url: string, localAddress = '127.0.0.1'): Promise<{ readonly wire: Wire; readonly by: string }> {
  const socket = net.connect({ ...connectOptions(url), localAddress } as net.NetConnectOpts);
  await once(socket, 'connect');
  const wire = new Wire(socket);
  await wire.request('GET /');
  return { wire, by: (await wire.response()).body };
}

async function visits(url: string, count: number, localAddress?: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const { wire, by } = await visit(url, localAddress);
    wire.socket.destroy();
    counts.set(by, (counts.get(by) ?? 0) + 1);
  }
  return counts;
}

const numbers = (counts: ReadonlyMap<string, number>) => [...counts.values()].sort((a, b) => b - a);

describe.concurrent.each(dispatching)('$model', ({ model, two }) => {
  const start = (...args: string[]) =>
    Site.start(model, ['--accept', 'dispatch', ...two, ...args], {}, {}, undefined, whoAnswers);

  test('round-robin gives each the same number', async () => {
    await using site = await start('--balance', 'round-robin');
    expect(numbers(await visits(site.server.url, 100))).toEqual([50, 50]);
  });

  test('weighted gives shares by the weights', async () => {
    await using site = await start('--balance', 'weighted', '--weights', '3,1');
    expect(numbers(await visits(site.server.url, 100))).toEqual([75, 25]);
  });

  test('least-connections, the default, fills up the one that clients have left', async () => {
    await using site = await start();
    const { url } = site.server;
    const all: Awaited<ReturnType<typeof visit>>[] = [];
    for (let i = 0; i < 12; i++) all.push(await visit(url));
    const [left] = all.map(({ by }) => by);
    const leaving = all.filter(({ by }) => by === left);
    expect(leaving).toHaveLength(6);
    for (const { wire } of leaving) wire.socket.destroy();
    // The host learns of the end of a connection from the one that had it.
    let kept: typeof all = [];
    await eventually('six connections to go to the one that has none', async () => {
      kept = [];
      for (let i = 0; i < 6; i++) kept.push(await visit(url));
      const isFilled = kept.every(({ by }) => by === left);
      if (!isFilled) for (const { wire } of kept) wire.socket.destroy();
      return isFilled;
    });
    for (const { wire } of [...all, ...kept]) wire.socket.destroy();
  });

  test('ip-hash gives all connections of a client to one, and clients to both', async () => {
    await using site = await start('--balance', 'ip-hash');
    const servers = new Set<string>();
    for (let client = 1; client <= 16; client++) {
      const counts = await visits(site.server.url, 3, `127.0.0.${client}`);
      expect(numbers(counts)).toEqual([3]);
      for (const by of counts.keys()) servers.add(by);
    }
    expect(servers.size).toBe(2);
  });

  test('mpserve ctl balance changes it with the same workers, and a reload keeps it', async () => {
    await using site = await start();
    const { url } = site.server;
    const before = await visits(url, 10);
    expect(await site.ctl('balance', 'weighted', '4,1')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^connections are placed by weighted$/m),
    });
    await eventually('the new shares', async () => numbers(await visits(url, 50)).join() === '40,10');
    expect([...(await visits(url, 10)).keys()].sort()).toEqual([...before.keys()].sort());
    expect(site.server.lines.find(({ event }) => event === 'balance-changed')).toMatchObject({
      from: 'least-connections',
      to: 'weighted',
    });
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    await eventually('the shares after the reload', async () => numbers(await visits(url, 50)).join() === '40,10');
    const { stdout } = await site.ctl('status');
    expect(stdout).toMatch(/^balance +weighted$/m);
    expect(stdout).toMatch(
      /^model +prefork, 2 worker\(s\), all ready, 1 thread\(s\) each$|^model +prethread, 1 worker\(s\), all ready, 2 thread\(s\) each$/m,
    );
    expect((await site.ctl('config')).stdout).toMatch(/balance +weighted +from mpserve ctl balance/);
  });
});

/** Blocks the event loop of `/block` until there is a file: asleep as in native code that waits, or busy. */
const blockable = `
const { existsSync, writeFileSync } = require('node:fs');
const word = new Int32Array(new SharedArrayBuffer(4));
module.exports = (req, res) => {
  const [, path, how, file] = /^\\/(\\w*)\\??(\\w*)=?(.*)$/.exec(req.url);
  if (path === 'block') {
    writeFileSync(file + '.begun', '');
    while (!existsSync(file)) if (how === 'asleep') Atomics.wait(word, 0, 0, 5);
  }
  res.end(path);
};
`;

for (const { model, two } of [
  ...dispatching,
  { model: 'hybrid', two: ['--workers', '1', '--threads', '2'] } as const,
]) {
  const tags = model === 'hybrid' ? ['long'] : []; // its processes place as prethread's one
  describe.concurrent(`beside a worker that is blocked, in ${model}`, { tags }, () => {
    test.each([
      ['lag', 'asleep'],
      ['first-idle', 'busy'],
    ])('%s has no other request wait for it (%s)', async (policy, how) => {
      // It is blocked for as long as the other requests take, which no --hang-timeout may cut short.
      const args = ['--accept', 'dispatch', ...two, '--balance', policy, '--hang-timeout', '0'];
      await using site = await Site.start(model, args, {}, {}, undefined, blockable);
      const { url } = site.server;
      const file = path.join(site.folder, 'go-on');
      using blocked = new Wire(net.connect(connectOptions(url)));
      await blocked.request(`GET /block?${how}=${file}`);
      await eventually('its event loop to be blocked', () => existsSync(`${file}.begun`));
      for (let i = 0; i < 100; i++) {
        const all = await Promise.all([1, 2, 3].map(() => visit(url)));
        expect(all.map(({ by }) => by)).toEqual(['', '', '']);
        for (const { wire } of all) wire.socket.destroy();
      }
      writeFileSync(file, '');
      expect((await blocked.response()).body).toBe('block');
    });
  });
}

describe.concurrent('mpserve ctl', () => {
  test('workers shows how many connections each has been given', async () => {
    const inTurn = ['--accept', 'dispatch', '--balance', 'round-robin'];
    await using site = await Site.start('prefork', [...inTurn, '--workers', '2', '--probation', '0']);
    const { wire } = await visit(site.server.url);
    await visits(site.server.url, 3);
    const { json } = await site.ask('GET', '/workers');
    expect(json.map(({ placed }: { placed: number }) => placed)).toEqual([2, 2]);
    const { stdout } = await site.ctl('workers');
    expect(stdout).toMatch(/ placed +open +state /);
    wire.socket.destroy();
  });

  test('balance refuses what cannot be, and says what can', async () => {
    await using site = await Site.start('prefork', ['--workers', '2']);
    const refused = async (...words: string[]) => {
      const { code, stderr } = await site.ctl('balance', ...words);
      expect(code).not.toBe(0);
      return stderr;
    };
    expect(await refused()).toMatch(/missing policy; use mpserve ctl balance round-robin, .* or first-idle/);
    expect(await refused('ip-hash')).toMatch(/the server runs without --accept dispatch/);
    expect(await refused('iphash')).toMatch(/must be round-robin, .*, not 'iphash'; did you mean ip-hash\?/);
    expect(await site.ask('POST', '/balance', '{"options": {"balance": "iphash"}}')).toMatchObject({
      status: 409,
      json: { refused: true },
    });
    const asked = async (options: object) =>
      (await site.ask('POST', '/balance', JSON.stringify({ options }))).json.error;
    expect(await asked({ balance: 'ip-hash', workers: '9' })).toMatch(
      /cannot balance by 'workers'; use balance and weights/,
    );
    expect(await asked({})).toMatch(/no policy/);
    site.configure({ accept: 'dispatch' });
    expect(await asked({ balance: 'ip-hash' })).toMatch(/the server runs without --accept dispatch/);
    expect(await site.ask('POST', '/switch', '{"options": {"model": "ppc"}}')).toMatchObject({ status: 200 });
    expect(await refused('ip-hash')).toMatch(/the model ppc starts a worker for each connection/);
  });

  test('balance stops neither a reload of a file that says shared, nor a switch, and is kept for dispatch', async () => {
    await using site = await Site.start('prefork', ['--workers', '2'], { accept: 'dispatch' });
    const { server } = site;
    const post = (target: string, options: object) => site.ask('POST', target, JSON.stringify({ options }));
    const policy = async () => (await site.ask('GET', '/status')).json.balance;
    expect(await post('/balance', { balance: 'weighted', weights: '3,1' })).toMatchObject({ status: 200 });
    site.configure({ accept: 'shared' });
    expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    expect(await policy()).toBe('weighted');

    expect(await post('/switch', { accept: 'shared' })).toMatchObject({ status: 200 });
    expect(await policy()).toBeUndefined();
    const warning = 'mpserve ctl balance does nothing without --accept dispatch';
    await server.waitFor('the warning', (line) => line.warning === warning);
    expect(await post('/switch', { accept: 'dispatch' })).toMatchObject({ status: 200 });
    expect(await policy()).toBe('weighted');
  });

  test('switch to a model that places nothing warns of the policy in the file', async () => {
    const config = { accept: 'dispatch', balance: 'weighted', weights: [3, 1] };
    await using site = await Site.start('prefork', ['--workers', '2'], config);
    expect(await site.ask('POST', '/switch', '{"options": {"model": "tpc"}}')).toMatchObject({ status: 200 });
    const isWarning = (line: Line) => /^balance in .* does nothing with the model tpc$/.test(String(line.warning));
    await site.server.waitFor('the warning', isWarning);
  });
});
