// Requests that end whoever serves them: they are named, and after a few deaths they are refused; others are not.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { ofConnections, repeating, testPlacements } from '../helpers/placements.ts';
import { fixture, runCli, type Server, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-quarantine-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function start(placement: object): Promise<Server & { control: string }> {
  const control = path.join(folder, `${++count}.ctl`);
  const { args = [], ...rest } = placement as { args?: readonly string[] };
  const server = await startServer({
    ...rest,
    app: fixture('poison.cjs'),
    // Requests kill the first workers again and again, which ends a server whose app is new.
    args: [...args, '--control', control, '--quarantine-after', '2', '--log-level', 'debug', '--probation', '0'],
  });
  return Object.assign(server, { control });
}

/** The status of the answer, or `lost`. Asks again while a worker is on its way. */
async function statusOf(server: Server, head: string, headers: Record<string, string> = {}, body = '') {
  using wire = await connect(server.url);
  try {
    await wire.request(head, { connection: 'close', ...headers });
    if (body !== '') await wire.write(body);
    return (await wire.response()).status;
  } catch {
    return 'lost';
  }
}

const lost = (server: Server) => server.lines.filter(({ event }) => event === 'request-lost');

testPlacements(
  'what has ended two workers is refused',
  async (placement) => {
    await using server = await start(placement);
    expect(await statusOf(server, 'GET /die', { 'x-request-id': 'one' })).toBe('lost');
    await eventually('it to be named', () => lost(server).length > 0);
    expect(lost(server)).toMatchObject([{ reqId: 'one', method: 'GET', url: '/die', ageMs: expect.any(Number) }]);
    await eventually('it to be refused', async () => (await statusOf(server, 'GET /die')) === 503);
    expect(await server.waitFor('the quarantine', ({ event }) => event === 'quarantined')).toMatchObject({
      method: 'GET',
      url: '/die',
      deaths: 2,
    });
    expect(await server.waitFor('a line', ({ event }) => event === 'request-refused')).toMatchObject({ url: '/die' });
    expect(await statusOf(server, 'GET /')).toBe(200);
    expect(server.lines.filter(({ event }) => event === 'quarantined')).toHaveLength(1);
  },
  ofConnections,
);

test.concurrent.each(['prefork', 'prethread', 'ppc'])(
  '%s: requests of the same target are told apart by their bodies',
  async (model) => {
    await using server = await start({ model });
    const post = (body: string) => statusOf(server, 'POST /', { 'content-length': String(body.length) }, body);
    const large = `poison${'x'.repeat(100_000)}`;
    expect(await post('poison')).toBe('lost');
    for (const body of ['poison', large]) {
      await eventually('it to be refused', async () => (await post(body)) === 503);
    }
    expect(await post('poison')).toBe(503);
    expect(await post('nectar')).toBe(200);
    expect(await post('')).toBe(200);
  },
);

test.concurrent('who was only there is cleared by an answer', async () => {
  const held = path.join(folder, 'held');
  await using server = await start({ model: 'prefork', args: ['--workers', '1'], env: { HELD_BY: held } });
  for (let deaths = 1; deaths <= 3; deaths++) {
    writeFileSync(held, '');
    const bystander = statusOf(server, 'GET /wait');
    await eventually(
      'it to be there',
      () => server.lines.filter(({ seen }) => seen === 'wait').length === 2 * deaths - 1,
    );
    const dying = await statusOf(server, 'GET /die');
    rmSync(held);
    expect([await bystander, dying]).toEqual(deaths <= 2 ? ['lost', 'lost'] : [200, 503]);
    expect(await statusOf(server, 'GET /wait')).toBe(200);
  }
  const { json } = await ask(server.control, 'GET', '/quarantine');
  expect(json).toMatchObject([{ url: '/die', deaths: 2, isRefused: true }]);
});

/** Two more connections of each kind that stay in flight: unread, with half a body, and waiting for the app. */
async function holdVictims(server: Server): Promise<Disposable> {
  const lines = (kind: string) => server.lines.filter(({ seen }) => seen === kind).length;
  const before = lines('held') + lines('wait');
  const held: Wire[] = [];
  for (let i = 0; i < 2; i++) {
    const [page, form, wait] = [await connect(server.url), await connect(server.url), await connect(server.url)];
    await page.request('GET /page');
    await form.write('POST /form HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
    await wait.request('GET /wait');
    held.push(page, form, wait);
  }
  await eventually('all to be in flight', () => lines('held') + lines('wait') === before + 6);
  return {
    [Symbol.dispose]() {
      for (const wire of held) wire.close();
    },
  };
}

const pooled = ['prefork', 'prethread'] as const;

for (const model of pooled) {
  test.concurrent(`${model}: a client that crashes workers cannot have the requests of others refused`, {
    tags: 'long',
  }, async () => {
    const held = path.join(folder, `held-${model}`);
    const args = model === 'prefork' ? ['--workers', '1'] : ['--threads', '1'];
    await using server = await start({ model, args, env: { HELD_BY: held } });
    for (let i = 0; i < 5; i++) {
      writeFileSync(held, '');
      using _ = await holdVictims(server);
      expect(await statusOf(server, `GET /throw?${i}`)).toBe('lost');
      await eventually('a worker', async () => (await statusOf(server, 'GET /')) === 200);
    }
    rmSync(held);
    const { json } = await ask(server.control, 'GET', '/quarantine');
    expect((json as { url: string }[]).filter(({ url }) => !url.startsWith('/throw'))).toEqual([]);
    for (const url of ['/page', '/wait']) expect(await statusOf(server, `GET ${url}`)).toBe(200);
    expect(await statusOf(server, 'POST /form', { 'content-length': '4' }, 'body')).toBe(200);
    expect(server.lines.filter(({ event }) => event === 'quarantined')).toEqual([]);
  });
}

for (const model of pooled) {
  test.concurrent(
    `${model}: a request whose code throws later is refused, though others are always in flight`,
    repeating(model, pooled),
    async () => {
      const held = path.join(folder, `crowd-${model}`);
      const args = model === 'prefork' ? ['--workers', '1'] : ['--threads', '1'];
      await using server = await start({ model, args, env: { HELD_BY: held } });
      writeFileSync(held, '');
      const statuses: unknown[] = [];
      // The first death only begins the search, and two deaths that are close together count as one.
      while (statuses.at(-1) !== 503 && statuses.length < 12) {
        using _ = await holdVictims(server);
        statuses.push(await statusOf(server, 'GET /throw'));
        await eventually('a worker', async () => (await statusOf(server, 'GET /')) === 200);
      }
      expect(statuses.at(-1)).toBe(503);
      const { json } = await ask(server.control, 'GET', '/quarantine');
      expect(json).toMatchObject([{ url: '/throw', isRefused: true }]);
      expect(server.lines).toContainEqual(expect.objectContaining({ event: 'request-lost', evidence: 'stack' }));
    },
  );
}

test.concurrent('a request whose long target only begins as that of a refused one is served', async () => {
  await using server = await start({ model: 'prefork', args: ['--workers', '1'] });
  const url = `/?${'x'.repeat(2000)}`;
  await eventually('it to be refused', async () => (await statusOf(server, `GET ${url}&die`)) === 503);
  expect(await statusOf(server, `GET ${url}&live`)).toBe(200);
});

test.concurrent('ctl quarantine lists and clears', async () => {
  await using server = await start({ model: 'prefork', args: ['--workers', '1'] });
  const ctl = (...words: string[]) => runCli(['ctl', 'quarantine', ...words, '--control', server.control]);
  expect(await ctl()).toMatchObject({ code: 0, stdout: 'no request is suspected of killing workers\n' });
  await eventually('it to be refused', async () => (await statusOf(server, 'GET /die')) === 503);
  expect((await ctl('list')).stdout).toMatch(/^refused +2 +\d{4}-.* +GET \/die +none$/m);
  expect(await ctl('clear')).toMatchObject({ code: 0, stdout: 'cleared 1 request(s)\n' });
  await eventually('it to be let through', async () => (await statusOf(server, 'GET /die')) === 'lost');
  const { code, stderr } = await ctl('empty');
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: "mpserve: mpserve ctl quarantine takes list or clear, not 'empty'\n",
  });
});

test.concurrent.each(['ppc', 'tpc', 'prefork'] as const)(
  '%s: a request behind the last answer of its connection is neither lost nor suspected',
  async (model) => {
    await using server = await start({ model });
    // Without a length the first answer ends with its connection, as it is for HTTP/1.0; the second waits for its turn.
    const pipeline = 'GET /wait HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET /wait?victim HTTP/1.0\r\n\r\n';
    for (let i = 0; i < 6; i++) {
      using wire = await connect(server.url);
      await wire.write(pipeline);
      expect(await wire.response()).toMatchObject({ status: 200, body: 'waited' });
    }
    expect(await statusOf(server, 'GET /wait?victim')).toBe(200);
    expect(await statusOf(server, 'GET /die')).toBe('lost');
    await eventually('the death', () => lost(server).length > 0);
    expect(lost(server)).toMatchObject([{ url: '/die' }]);
  },
);

test.concurrent('a refused request leaves the answer before it in its pipeline as it is', async () => {
  await using server = await start({ model: 'prefork' });
  await eventually('it to be refused', async () => (await statusOf(server, 'GET /die')) === 503);
  using wire = await connect(server.url);
  await wire.write('GET /wait HTTP/1.1\r\nhost: a\r\n\r\nGET /die HTTP/1.1\r\nhost: a\r\n\r\n');
  expect(await wire.response()).toMatchObject({ status: 200, body: 'waited' });
  expect(await wire.response()).toMatchObject({ status: 503, headers: { connection: 'close' } });
});

test.concurrent('answers that wait in a pipeline when their client goes are off the record', async () => {
  await using server = await start({ model: 'prefork', args: ['--workers', '1'] });
  using wire = await connect(server.url);
  await wire.write('GET /wait HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(50));
  await eventually('all to be there', () => server.lines.filter(({ seen }) => seen === 'wait').length === 50);
  wire.socket.resetAndDestroy();
  // Whoever asks next, and is answered, asks when they are gone.
  expect(await statusOf(server, 'GET /wait')).toBe(200);
  expect(await statusOf(server, 'GET /die')).toBe('lost');
  await eventually('the death', () => lost(server).length > 0);
  expect(lost(server)).toMatchObject([{ url: '/die' }]);
});

test.concurrent('many suspects with long targets do not keep workers from starting', async () => {
  await using server = await start({ model: 'prefork', args: ['--workers', '1'] });
  for (let round = 0; round < 3; round++) {
    using wire = await connect(server.url);
    const pipelined = Array.from(
      { length: 250 },
      (_, i) => `GET /${round}/${i}/${'x'.repeat(600)} HTTP/1.1\r\nhost: a\r\n\r\n`,
    );
    wire.socket.write(`GET /wait?${round} HTTP/1.1\r\nhost: a\r\n\r\n${pipelined.join('')}`);
    await eventually('them to be there', () => server.lines.filter(({ seen }) => seen === 'wait').length > round);
    await eventually('its death', async () => (await statusOf(server, `GET /die?${round}`)) === 'lost');
    await eventually('a worker', async () => (await statusOf(server, 'GET /')) === 200);
  }
});

test.concurrent('--quarantine-after 0 keeps no record', async () => {
  await using server = await startServer({ app: fixture('poison.cjs'), args: ['--quarantine-after', '0'] });
  for (let i = 0; i < 4; i++) await eventually('death', async () => (await statusOf(server, 'GET /die')) === 'lost');
  expect(lost(server)).toEqual([]);
});

test.concurrent.each(['ppc', 'tpc'])(
  '%s: a client that resets takes no request of its pipeline for lost',
  async (model) => {
    await using server = await start({ model });
    for (let rounds = 1; rounds <= 3; rounds++) {
      using wire = await connect(server.url);
      await wire.write('GET /wait HTTP/1.1\r\nhost: a\r\n\r\nGET /wait?victim HTTP/1.1\r\nhost: a\r\n\r\n');
      await eventually(
        'both to be there',
        () => server.lines.filter(({ seen }) => seen === 'wait').length === 2 * rounds,
      );
      wire.socket.resetAndDestroy();
    }
    // What ends their workers is over before these can end a worker, and name another.
    expect(await statusOf(server, 'GET /wait?victim')).toBe(200);
    expect(await statusOf(server, 'GET /die')).toBe('lost');
    await eventually('the death', () => lost(server).some(({ url }) => url === '/die'));
    expect(lost(server)).toMatchObject([{ url: '/die' }]);
  },
);

test.concurrent('a refusal by --rate-limit does not clear a suspect', async () => {
  await using server = await start({ model: 'prefork', args: ['--workers', '1', '--rate-limit', '1/d'] });
  expect(await statusOf(server, 'GET /die')).toBe('lost');
  await eventually('a refusal', async () => (await statusOf(server, 'GET /die')) === 429);
  const { json } = await ask(server.control, 'GET', '/quarantine');
  expect(json).toMatchObject([{ url: '/die', deaths: 1 }]);
  expect(server.lines.filter(({ event }) => event === 'suspect-cleared')).toEqual([]);
});
