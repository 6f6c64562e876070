// New workers are watched before they get connections and after they have replaced the old ones: a release that dies,
// hangs or is not ready any more is rolled back. The probation is long here and ends with what fails.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { ask as askControl, linesOf } from '../helpers/control.ts';
import { eventually } from '../helpers/eventually.ts';
import { HeldRequest } from '../helpers/held.ts';
import {
  type Placement,
  placements,
  repeating,
  testPlacements,
  testSomePlacements,
  units,
} from '../helpers/placements.ts';
import { fixture, launchServer, runCli, startServer } from '../helpers/server.ts';
import { answering, blockFor, Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const long = { probation: '10m' };
/** Ready, and dead a moment later: the commonest bad release. */
const dying =
  'setTimeout(() => { throw new Error("no database"); }, 50); module.exports = (_, res) => res.end("second");';

function start({ model, accept, args = [] }: Placement, config: object = long, more: string[] = []): Promise<Site> {
  return Site.start(model, [...args, ...(accept ? ['--accept', accept] : []), ...more], config);
}

const only = (name: string): Placement => placements.find((one) => one.name === name) as Placement;

/** Clients that lose nothing while `during` runs. */
async function losingNothing(site: Site, during: () => Promise<void>): Promise<void> {
  const clients = [new Clients(site.server.url, 2, 'one-each'), new Clients(site.server.url, 4, 'kept-alive')];
  await during();
  for (const one of clients) {
    const { failures, bodies } = await one.stop();
    expect({ failures, bodies: [...bodies] }).toEqual({ failures: [], bodies: ['first'] });
  }
}

testPlacements('a release that dies after it was ready gets no client, and the old one goes on', async (placement) => {
  await using site = await start(placement);
  await losingNothing(site, async () => {
    site.write(dying);
    const { code, stderr } = await site.ctl('reload');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'mpserve: the new workers failed and are rolled back: the app crashed: no database\n',
    });
  });
  const { json } = await site.ask('GET', '/status');
  expect(json).toMatchObject({ state: 'serving', generation: 1, lastError: { message: 'no database' } });
});

testSomePlacements(units, 'a sound release passes, and the server serves', async (placement) => {
  await using site = await start(placement, { probation: '200ms' });
  await losingNothing(site, async () => {
    site.write(answering('first'));
    expect((await site.ask('POST', '/reload')).json).toMatchObject({ ok: true });
  });
  expect((await site.ask('GET', '/status')).json).toMatchObject({ generation: 2, state: 'serving' });
  expect(site.server.lines.filter(({ event }) => /down|up/.test(String(event)))).toEqual([]);
});

test.concurrent('without a probation the same release replaces the old one, and the server is down', async () => {
  await using site = await Site.start('prefork', ['--workers', '1'], { probation: 0 });
  site.write(dying);
  expect((await site.ctl('reload')).code).toBe(0);
  await site.server.waitFor('the server to be down', ({ event }) => event === 'down');
  const state = async () => (await site.ask('GET', '/status')).json.state;
  const failing = await eventually('status to say so', async () => {
    const { code, stdout } = await site.ctl('status', '--check');
    return code === 1 && stdout;
  });
  expect(failing).toMatch(/^state +down$/m);
  expect(failing).toMatch(/^last error +\S+: no database$/m);
  site.write(answering('third'));
  expect((await site.ctl('reload')).code).toBe(0);
  await eventually('the server to serve', async () => (await state()) === 'serving');
});

test.concurrent.each([
  [
    'is not ready any more',
    `let asked = 0;
     module.exports = (_, res) => { res.statusCode = ++asked > 1 ? 503 : 200; res.end("second"); };`,
    ['--ready-path', '/ready'],
    /GET \/ready \(--ready-path\) is answered with 503/,
  ],
  [
    'hangs',
    'setTimeout(() => { for (;;); }, 50); module.exports = (_, res) => res.end();',
    ['--hang-timeout', '500ms'],
    /a worker hung in/,
  ],
  [
    'leaks memory',
    'const all = []; setInterval(() => all.push(Buffer.alloc(5e7, 1)), 5); module.exports = (_, res) => res.end();',
    ['--max-memory', '400M'],
    /a worker has \d+ MiB of memory \(--max-memory\)/,
  ],
  [
    'exits',
    'setTimeout(() => process.exit(7), 50); module.exports = (_, res) => res.end();',
    [],
    /a worker died: it exited with code 7/,
  ],
])('a release that %s is rolled back before it has a client', async (_, code, args, reason) => {
  await using site = await Site.start('prefork', ['--workers', '2', ...args], long);
  await losingNothing(site, async () => {
    site.write(code);
    const { json } = await site.ask('POST', '/reload');
    expect(json.error).toMatch(/^the new workers failed and are rolled back: /);
    expect(json.error).toMatch(reason);
  });
});

test.concurrent.each(['prefork shared', 'prethread shared', 'ppc'])(
  '%s: when the new release dies after it has replaced the old one, that is started again',
  async (name) => {
    await using site = await start(only(name), { probation: '5s' });
    const sign = path.join(site.folder, 'die');
    site.write(`
      const { existsSync } = require('node:fs');
      setInterval(() => { if (existsSync(${JSON.stringify(sign)})) throw new Error("no"); }, 10);
      module.exports = (_, res) => res.end("second");
    `);
    const lines = await linesOf(site.control, '/reload', (text) => {
      if (text.includes('with all connections')) writeFileSync(sign, '');
    });
    expect(lines.at(-1)).toEqual({
      ok: false,
      error: expect.stringMatching(/^the new workers failed and are rolled back: .*: no$/),
    });
    expect((await site.ask('GET', '/status')).json).toMatchObject({ generation: 1, state: 'serving' });
    await losingNothing(site, async () => {});
  },
);

test.concurrent('a switch to a model in which the app dies is rolled back', async () => {
  await using site = await Site.start('prefork', ['--workers', '2'], long);
  site.replaceRelease(`${answering('first')}
    if (!require('node:worker_threads').isMainThread) setTimeout(() => { throw new Error("not in a thread"); }, 50);`);
  await losingNothing(site, async () => {
    const { code, stderr } = await site.ctl('switch', '--model', 'prethread');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'mpserve: the new workers failed and are rolled back: the app crashed: not in a thread\n',
    });
  });
  expect((await site.ask('GET', '/status')).json).toMatchObject({ model: 'prefork', state: 'serving' });
});

test.concurrent('a thread that dies before another is ready counts, also when the next one lives', async () => {
  await using site = await Site.start('prethread', ['--threads', '2'], { probation: '2s' });
  site.replaceRelease(`${answering('second')}
    try {
      require('node:fs').mkdirSync(__filename + '.first');
      setTimeout(() => { throw new Error('only once'); });
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    }`);
  const { code, stderr } = await site.ctl('reload');
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'mpserve: the new workers failed and are rolled back: the app crashed: only once\n',
  });
});

test.concurrent('when the new model dies later, the old one has as many workers as an operator has set', async () => {
  await using site = await Site.start('prefork', ['--workers', '1'], { probation: '5s' });
  expect((await site.ask('POST', '/scale', '{"workers":"2"}')).status).toBe(200);
  const sign = path.join(site.folder, 'die');
  site.replaceRelease(`${answering('first')}
    const { existsSync } = require('node:fs');
    const isThread = !require('node:worker_threads').isMainThread;
    setInterval(() => { if (isThread && existsSync(${JSON.stringify(sign)})) throw new Error("no"); }, 10);`);
  const late = (text: string) => text.includes('with all connections') && writeFileSync(sign, '');
  const lines = await linesOf(site.control, '/switch', late, '{"options":{"model":"prethread"}}');
  expect(lines.at(-1)).toMatchObject({ ok: false, error: expect.stringContaining('rolled back') });
  expect((await site.ask('GET', '/status')).json).toMatchObject({ model: 'prefork', workers: { wanted: 2 } });
  await losingNothing(site, async () => {});
});

test.concurrent('an added worker that dies is removed', async () => {
  await using site = await Site.start('prefork', ['--workers', '2'], long);
  site.replaceRelease(dying);
  await losingNothing(site, async () => {
    expect((await site.ask('POST', '/scale', '{"workers":"+1"}')).json.error).toMatch(/rolled back: .*no database/);
  });
  expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'serving', workers: { wanted: 2, ready: 2 } });
});

/** Sound in all workers but the one that is the last of `count` to load it. */
const soundUntil = (count: number, code: string) => `${answering('first')}
  const { mkdirSync } = require('node:fs');
  const isFirst = (n) => { try { mkdirSync(__filename + n); return true; } catch { return false; } };
  let n = 1;
  while (!isFirst(n)) n++;
  if (n === ${count}) { ${code} }`;

test.concurrent.each([
  ['dies', long, dying],
  ['cannot load the app', {}, 'throw new Error("no database");'],
])('when one of several added workers %s, all are removed', async (_, config, code) => {
  await using site = await Site.start('prefork', ['--workers', '2'], config);
  site.replaceRelease(soundUntil(2, code));
  await losingNothing(site, async () => {
    expect((await site.ask('POST', '/scale', '{"workers":"+2"}')).json).toMatchObject({
      ok: false,
      error: expect.stringContaining('no database'),
    });
  });
  expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'serving', workers: { wanted: 2, ready: 2 } });
});

test.concurrent('workers are added when all of them are ready', async () => {
  await using site = await Site.start('prefork', ['--workers', '1']);
  site.replaceRelease(soundUntil(3, blockFor(1000)));
  expect((await site.ask('POST', '/scale', '{"workers":"+3"}')).json).toMatchObject({ ok: true });
  expect((await site.ask('GET', '/status')).json).toMatchObject({ state: 'serving', workers: { wanted: 4, ready: 4 } });
});

for (const model of ['prefork', 'ppc', 'tpc']) {
  const tags = model === 'ppc' ? ['long'] : [];
  test.concurrent(`${model}: a server whose successor dies goes on`, { tags }, async () => {
    await using site = await Site.start(model, [], long);
    await losingNothing(site, async () => {
      site.write(dying);
      expect((await site.ask('POST', '/upgrade')).json.error).toMatch(
        /^the new server failed to start; the old server keeps serving: .*the app crashed: no database$/,
      );
    });
    expect((await site.ask('GET', '/status')).json).toMatchObject({ pid: site.server.pid, state: 'serving' });
  });
}

test.concurrent('the probation is shown as progress', async () => {
  await using site = await Site.start('prefork', ['--workers', '1'], { probation: '300ms' });
  site.write(answering('second'));
  const text = JSON.stringify(await linesOf(site.control, '/reload'));
  for (const when of ['before they get connections', 'with all connections']) {
    expect(text).toContain(`watching the new workers ${when}: `);
  }
});

testPlacements('a server whose first workers die again and again gives up', async ({ model, accept, args = [] }) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-probation-'));
  const app = path.join(folder, 'app.cjs');
  writeFileSync(app, dying);
  try {
    const server = launchServer({ app, model, ...(accept && { accept }), args });
    const { code } = await server.exit;
    expect({ code, stderr: server.stderr }).toEqual({
      code: 5,
      stderr: expect.stringMatching(/mpserve: workers died \d+ times, .* \(--probation\) .*: no database/),
    });
    await server.noneLeft();
    expect(server.lines.some(({ event }) => event === 'ready')).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const single = { prefork: ['--workers', '1'], prethread: ['--threads', '1'], ppc: [] };

for (const [model, one] of Object.entries(single)) {
  test.concurrent(
    `${model}: crashes by requests end no new server`,
    repeating(model, Object.keys(single)),
    async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-probation-'));
      const app = path.join(folder, 'app.cjs');
      writeFileSync(app, 'module.exports = (req, res) => { if (req.url !== "/") process.exit(1); res.end("first"); };');
      try {
        await using server = await startServer({ app, model, args: [...one, '--probation', '10m'] });
        // Five would end it; each is replaced later than the one before.
        for (let i = 0; i < 7; i++) {
          using wire = await connect(server.url);
          await wire.ask(`GET /crash?${i}`).catch(() => {});
        }
        using wire = await connect(server.url);
        expect((await wire.ask('GET /')).body).toBe('first');
        const deaths = server.lines.filter(({ event }) => /^(worker-died|thread-lost)$/.test(String(event)));
        expect(deaths.length).toBeGreaterThan(5);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
}

test.concurrent('--daemon reports such a server as failed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-probation-'));
  const app = path.join(folder, 'app.cjs');
  writeFileSync(app, dying);
  const { code, stderr, left } = await runCli([
    app,
    '--daemon',
    '--log-file',
    path.join(folder, 'log'),
    '--bind',
    '127.0.0.1:0',
  ]);
  rmSync(folder, { recursive: true });
  expect({ code, left }).toEqual({ code: 5, left: [] });
  expect(stderr).toMatch(/^mpserve: workers died .*no database/m);
});

test.concurrent('ctl status --check fails while a server starts, is drained, and stops', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-check-'));
  try {
    const control = path.join(folder, 'ctl');
    const held = path.join(folder, 'held');
    writeFileSync(held, '');
    const args = ['--workers', '1', '--control', control];
    const app = path.join(folder, 'app.mjs');
    const [slow, life] = ['life-slow-load.mjs', 'life.cjs'].map((name) => JSON.stringify(fixture(name)));
    writeFileSync(app, `import ${slow};\nexport { default } from ${life};`);
    await using server = launchServer({ app, args, env: { HELD: held } });
    const check = async () => {
      const { code, stdout } = await runCli(['ctl', 'status', '--check', '--control', control]);
      return { code, state: /^state +(\w+)/m.exec(stdout)?.[1] };
    };
    const ask = (target: string, body?: string) => askControl(control, 'POST', target, body);
    const first = await eventually('the control socket', async () => {
      const checked = await check();
      return checked.code !== 3 && checked;
    });
    expect(first).toEqual({ code: 1, state: 'starting' });
    rmSync(held);
    await server.waitFor('ready', ({ event }) => event === 'ready');
    expect(await check()).toEqual({ code: 0, state: 'serving' });
    expect((await ask('/drain')).status).toBe(200);
    expect(await check()).toEqual({ code: 1, state: 'drained' });
    expect((await ask('/scale', '{"workers": "1"}')).status).toBe(200);
    expect(await check()).toEqual({ code: 0, state: 'serving' });
    using request = await HeldRequest.begin(server);
    server.child.kill('SIGTERM');
    await server.waitFor('the stop', ({ event }) => event === 'stopping');
    expect(await check()).toEqual({ code: 1, state: 'stopping' });
    request.release();
    expect((await request.wire.response()).status).toBe(200);
    expect(await server.exit).toMatchObject({ code: 0 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.concurrent('ctl status --check accepts a server that serves, and --check is for status alone', async () => {
  await using site = await Site.start('prefork', ['--workers', '1']);
  expect((await site.ctl('status', '--check')).code).toBe(0);
  const { code, stderr } = await site.ctl('reload', '--check');
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringContaining('--check only works with mpserve ctl status'),
  });
});
