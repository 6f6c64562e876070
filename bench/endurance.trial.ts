// Each trial prints a line of the table in docs/benchmarks.md, and fails when its figure is missed.
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { median } from '../src/bench/summary.ts';
import { residentMemory } from '../src/os/process-tree.ts';
import { Clients } from '../test/helpers/clients.ts';
import { ask } from '../test/helpers/control.ts';
import { eventually } from '../test/helpers/eventually.ts';
import { fixture, type Server, startServer } from '../test/helpers/server.ts';
import { connect } from '../test/helpers/wire.ts';

const models = ['prefork', 'ppc', 'tpc', 'prethread', 'hybrid'] as const;
const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-endurance-'));
const control = path.join(folder, 'app.ctl');
const quick = ['--drain-quiet', '200ms', '--graceful-timeout', '5s', '--control', control, '--log-level', 'debug'];
const rows: string[][] = [];
const row = (...cells: string[]): void => void rows.push(cells);

afterAll(() => {
  rmSync(folder, { recursive: true });
  const lines = [['what', 'measured', 'asked'], ['---', '---', '---'], ...rows];
  console.log(lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
});

const events = (server: Server, name: string) => server.lines.filter(({ event }) => event === name);
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

describe('reloads', () => {
  test.each(models)('%s', async (model) => {
    const app = path.join(folder, `${model}.cjs`);
    // In one step, as ppc and tpc may load it at any time.
    const write = (words: string): void => {
      writeFileSync(`${app}.new`, `module.exports = (_req, res) => res.end("${words}");`);
      renameSync(`${app}.new`, app);
    };
    write('first');
    await using server = await startServer({ app, model, args: quick });
    const clients = [new Clients(server.url, 4, 'one-each'), new Clients(server.url, 4, 'kept-alive')];
    const tookMs: number[] = [];
    for (let i = 1; i <= 20; i++) {
      write(String(i));
      const began = performance.now();
      expect(await ask(control, 'POST', '/reload')).toMatchObject({ status: 200 });
      tookMs.push(performance.now() - began);
    }
    const [one, kept] = await Promise.all(clients.map((some) => some.stop()));
    const failures = [...(one?.failures ?? []), ...(kept?.failures ?? [])];
    const answered = (one?.answered ?? 0) + (kept?.answered ?? 0);
    row(
      `${model}: 20 reloads (each ${seconds(median(tookMs))}) under 4 clients of one request a connection and 4 kept-alive ones`,
      `${answered.toLocaleString('en')} answered, ${failures.length} failed; ${kept?.reconnects} sent once more`,
      '0 failed',
    );
    expect(failures).toEqual([]);
  });
});

test('kills', async () => {
  const args = ['--workers', '4', ...quick];
  await using server = await startServer({ app: fixture('life.cjs'), model: 'prefork', args });
  const clients = [new Clients(server.url, 4, 'one-each'), new Clients(server.url, 4, 'kept-alive')];
  const descriptors = () => readdirSync(`/proc/${server.pid}/fd`).length;
  const kill = async (): Promise<void> => {
    // The one that has lived for longest.
    const { json } = await ask(control, 'GET', '/workers');
    const [oldest] = json.sort((a: { readyMs: number }, b: { readyMs: number }) => (b.readyMs ?? 0) - (a.readyMs ?? 0));
    process.kill(oldest.pid, 'SIGKILL');
  };
  await pause(3000);
  const before = descriptors();
  const memory: number[] = [];
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    await kill();
    await pause(500);
    memory.push(residentMemory(server.pid));
  }
  await eventually('all workers', async () => {
    const { json } = await ask(control, 'GET', '/status');
    return json.workers.ready === 4 && server.workers().length === 4;
  });
  const [one, kept] = await Promise.all(clients.map((some) => some.stop()));
  const died = events(server, 'worker-died');
  const gaps = died.map((line) => {
    const back = server.lines.find(
      (next) =>
        next.event === 'worker-started' && Number(next.time) >= Number(line.time) && next.worker === line.worker,
    );
    return Number(back?.time ?? Number.POSITIVE_INFINITY) - Number(line.time);
  });
  const lost = events(server, 'request-lost').length;
  // A client of one request a connection may also be in the middle of connecting or of sending.
  const failed = (one?.failures.length ?? 0) + (kept?.failures.length ?? 0);
  const inFlight = 8 * died.length;
  const quarters = [memory.slice(0, memory.length / 4), memory.slice((memory.length * 3) / 4)].map(median);
  const growth = (quarters[1] ?? 0) / (quarters[0] ?? 1) - 1;
  row(
    `prefork, 4 workers, one killed every 500 ms for 30 s, under 8 clients`,
    `${died.length} killed, ${((one?.answered ?? 0) + (kept?.answered ?? 0)).toLocaleString('en')} answered, ${failed} failed, ${lost} named by the log; ` +
      `back after ${seconds(median(gaps))}, at the most ${seconds(Math.max(...gaps))}; descriptors ${before} and ${descriptors()}; memory ${(growth * 100).toFixed(1)} %`,
    `at most the requests in flight on the victims, back within 1 s, descriptors equal, memory within 5 %`,
  );
  expect(failed).toBeLessThanOrEqual(inFlight);
  expect(Math.max(...gaps)).toBeLessThan(1000);
  expect(descriptors()).toBe(before);
  expect(Math.abs(growth)).toBeLessThan(0.05);
});

describe('hangs', () => {
  test.each(models)('%s', async (model) => {
    const args = [...quick, '--hang-timeout', '2s'];
    await using server = await startServer({ app: fixture('hanging.cjs'), model, args });
    using wire = await connect(server.url);
    await wire.ask('GET /');
    const began = Date.now();
    await wire.request('GET /spin', { 'x-request-id': 'the-one' });
    const clients = new Clients(server.url, 2, 'one-each');
    const hung = await server.waitFor('the hang', ({ event }) => event === 'hung');
    const { answered, failures } = await clients.stop();
    const took = Number(hung.time) - began;
    const [frame = ''] = hung.stack as string[];
    row(
      `${model}: an endless loop under --hang-timeout 2s`,
      `\`${path.basename(frame)}\` (${frame.split(' ')[0]}) with its request after ${seconds(took)}; ${answered} answered meanwhile, ${failures.length} failed`,
      'named by function, file, line and request within 3 s; the others go on',
    );
    expect(frame).toMatch(/^spinForEver \(.*hanging\.cjs:5:\d+\)$/);
    expect(hung.requests).toMatchObject([{ reqId: 'the-one' }]);
    expect(took).toBeLessThan(3000);
    expect(answered).toBeGreaterThan(0);
    // With a dispatcher that cannot know yet, a few have been given to the one that hangs.
    expect(failures).toEqual([]);
  });
});

test('leaks', async () => {
  const args = ['--workers', '2', '--max-memory', '256M', ...quick];
  await using server = await startServer({ app: fixture('leaking.cjs'), model: 'prefork', args });
  const clients = [new Clients(server.url, 2, 'one-each'), new Clients(server.url, 2, 'kept-alive')];
  let peak = 0;
  const watch = setInterval(() => {
    for (const pid of server.workers()) peak = Math.max(peak, residentMemory(pid));
  }, 50);
  await eventually('20,000 requests', () => clients.reduce((sum, { done }) => sum + done, 0) >= 20_000, 280_000);
  const counts = await Promise.all(clients.map((some) => some.stop()));
  clearInterval(watch);
  const failures = counts.flatMap((count) => count.failures);
  const answered = counts.reduce((sum, count) => sum + count.answered, 0);
  row(
    'prefork, 2 workers, an app that keeps 1 MiB of each request, under --max-memory 256M',
    `${answered.toLocaleString('en')} answered, ${failures.length} failed, ${events(server, 'worker-recycled').length} workers replaced; the largest had ${Math.round(peak / 1024 ** 2)} MiB`,
    '20,000 requests, 0 failed',
  );
  expect(failures).toEqual([]);
});

describe('waves', () => {
  test.each([
    ['prefork', ['--workers', '1', '--min-workers', '1', '--max-workers', '4']],
    ['prethread', ['--threads', '1', '--min-threads', '1', '--max-threads', '4']],
  ])('%s', async (model, range) => {
    const args = [...range, '--spare-max', '1', '--idle-timeout', '3s', ...quick];
    await using server = await startServer({ app: fixture('hanging.cjs'), model, args });
    const changes = () => [...events(server, 'scaled'), ...events(server, 'threads-scaled')];
    const size = () => Number(changes().at(-1)?.to ?? 1);
    const ups: number[] = [];
    const downs: number[] = [];
    let flaps = 0;
    for (let wave = 0; wave < 3; wave++) {
      let seen = changes().length;
      const climbs = (sign: number) => {
        const steps = changes()
          .slice(seen)
          .map(({ from, to }) => Math.sign(Number(to) - Number(from)));
        flaps += steps.filter((step) => step !== sign).length;
        seen = changes().length;
      };
      const low = new Clients(server.url, 1, 'one-each');
      const high = new Clients(server.url, 63, 'one-each', '/work?10');
      const began = performance.now();
      await eventually('the most', () => size() === 4, 20_000);
      ups.push(performance.now() - began);
      await pause(3000);
      climbs(1);
      await high.stop();
      const ended = performance.now();
      await eventually('few', () => size() <= 2, 20_000);
      downs.push(performance.now() - ended);
      await pause(4000);
      climbs(-1);
      expect((await low.stop()).failures).toEqual([]);
    }
    row(
      `${model}, from 1 to 4, a square wave of 1 and 64 clients, of which 63 ask for 10 ms of work, three times, --idle-timeout 3s`,
      `up after ${ups.map(seconds).join(', ')}; down after ${downs.map(seconds).join(', ')}; ${flaps} changes against the edge`,
      'up within 2 s, down after --idle-timeout, one direction an edge',
    );
    expect(Math.max(...ups)).toBeLessThan(2000);
    expect(Math.min(...downs)).toBeGreaterThan(2900);
    expect(flaps).toBe(0);
  });
});

test('logs', async () => {
  const access = path.join(folder, 'access.log');
  await using server = await startServer({ app: fixture('life.cjs'), args: [...quick, '--access-log', access] });
  const clients = new Clients(server.url, 8, 'kept-alive');
  for (let i = 1; i <= 20; i++) {
    await pause(200);
    renameSync(access, `${access}.${i}`);
    expect(await ask(control, 'POST', '/reopen')).toMatchObject({ status: 200 });
  }
  const { answered, failures } = await clients.stop();
  await server.stop();
  const files = readdirSync(folder).filter((name) => name.startsWith('access.log'));
  const ids = files.flatMap((name) =>
    readFileSync(path.join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line).reqId),
  );
  row(
    'the access log opened anew 20 times under 8 clients',
    `${answered.toLocaleString('en')} answered, ${ids.length.toLocaleString('en')} lines, ${new Set(ids).size.toLocaleString('en')} different`,
    'each line in exactly one file',
  );
  expect(failures).toEqual([]);
  expect(ids.length).toBe(answered);
  expect(new Set(ids).size).toBe(answered);
});

describe('soak', () => {
  test.each([true, false])('with kills: %s', async (isKilled) => {
    const access = path.join(folder, `soak-${isKilled}.log`);
    const args = ['--workers', '3', ...quick, '--access-log', access];
    await using server = await startServer({ app: fixture('life.cjs'), model: 'prefork', args });
    const clients = [new Clients(server.url, 4, 'one-each'), new Clients(server.url, 6, 'kept-alive')];
    const descriptors = () => readdirSync(`/proc/${server.pid}/fd`).length;
    const deeds = deedsOn(server, isKilled);
    await pause(1000);
    const before = descriptors();
    const done: Record<string, number> = {};
    const memory: number[] = [];
    const work = async (ms: number): Promise<void> => {
      for (const end = Date.now() + ms; Date.now() < end; ) {
        const [name, deed] = deeds[Math.floor(Math.random() * deeds.length)] as (typeof deeds)[number];
        await deed();
        done[name] = (done[name] ?? 0) + 1;
        await pause(300);
        memory.push(residentMemory(server.pid));
      }
    };
    await work(20_000); // until the supervisor has done each of them a few times, its heap grows
    memory.splice(0);
    await work(60_000);
    await become('ppc');
    await become('prefork');
    await eventually('the others to have gone', async () => {
      const { json } = await ask(control, 'GET', '/status');
      return server.workers().length === 3 && json.workers.ready === 3;
    });
    const after = descriptors();
    const [one, kept] = await Promise.all(clients.map((some) => some.stop()));
    await server.stop(); // and none of its processes is left
    const lines = readFileSync(access, 'utf8').split('\n').filter(Boolean).length;
    const answered = (one?.answered ?? 0) + (kept?.answered ?? 0);
    const failed = (one?.failures.length ?? 0) + (kept?.failures.length ?? 0) + (kept?.reconnects ?? 0);
    const quarters = [memory.slice(0, memory.length / 4), memory.slice((memory.length * 3) / 4)].map(median);
    const growth = (quarters[1] ?? 0) / (quarters[0] ?? 1) - 1;
    const words = Object.entries(done).map(([name, times]) => `${times} times ${name}`);
    row(
      `80 s of ${words.join(', ')} by chance, under 4 clients of one request a connection and 6 kept-alive ones`,
      `${answered.toLocaleString('en')} answered, ${failed} failed or sent once more; ${lines.toLocaleString('en')} access lines; ` +
        `descriptors ${before} and ${after}; memory in the last quarter of the last 60 s ${(growth * 100).toFixed(1)} % over the first; no process left`,
      'nothing but what was in flight on who was killed; as many lines as answers; descriptors equal, memory within 5 %, no orphan',
    );
    const kills = done.kill ?? 0;
    expect(failed).toBeLessThanOrEqual(10 * kills);
    expect(Math.abs(answered - lines)).toBeLessThanOrEqual(10 * kills);
    expect(after).toBe(before);
    expect(Math.abs(growth)).toBeLessThan(0.05);
  });

  const act = (action: string, body = '') => ask(control, 'POST', `/${action}`, body);
  const sizes: Record<string, object> = { prefork: { workers: 3 }, prethread: { threads: 3 }, hybrid: { workers: 2 } };
  const become = async (model: string) => {
    const answer = await act('switch', JSON.stringify({ options: { model, ...sizes[model] } }));
    expect(answer).toMatchObject({ status: 200 });
  };

  function deedsOn(
    server: Server,
    isKilled: boolean,
  ): readonly (readonly [name: string, deed: () => Promise<unknown>])[] {
    const kill = async () => {
      const workers = server.workers();
      const victim = workers[Math.floor(Math.random() * workers.length)];
      try {
        if (victim) process.kill(victim, 'SIGKILL');
      } catch {} // a child of ppc that has just ended by itself
    };
    return [
      ...(isKilled ? [['kill', kill] as const] : []),
      [
        'reload',
        async () => expect(await act('reload')).toMatchObject({ status: isKilled ? expect.any(Number) : 200 }),
      ],
      ['scale', () => act('scale', JSON.stringify({ workers: Math.random() < 0.5 ? '+1' : '-1' }))],
      ['switch', () => become(models[Math.floor(Math.random() * models.length)] as string)],
    ];
  }
});
