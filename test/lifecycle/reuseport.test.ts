// --accept reuseport: a queue of the kernel for each event loop, none of which is left alone with its clients.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Clients } from '../helpers/clients.ts';
import { eventually } from '../helpers/eventually.ts';
import { runCli, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, connectOptions, Wire } from '../helpers/wire.ts';

const who = (release: string): string => `
const { threadId } = require('node:worker_threads');
module.exports = (_req, res) => res.end('${release} ' + process.pid + ' ' + threadId);
`;

const models = [
  { model: 'prefork', args: ['--workers', '2'], queues: 2 },
  { model: 'prethread', args: ['--threads', '2'], queues: 2 },
  { model: 'hybrid', args: ['--workers', '2', '--threads', '2'], queues: 4 },
] as const;

const start = (model: string, args: readonly string[], config: object = {}): Promise<Site> =>
  Site.start(model, ['--accept', 'reuseport', ...args], config, {}, undefined, who('first'));

/** How many queues the kernel has for its port. */
function queuesOf({ url }: Server): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  // proc_net_tcp(5): 0A is LISTEN.
  return readFileSync('/proc/net/tcp', 'latin1').match(new RegExp(`:${port} \\S+ 0A `, 'g'))?.length ?? 0;
}

/** Who has answered this many requests, each on a connection of its own. */
async function answersOf(url: string, count: number): Promise<Set<string>> {
  const all = new Set<string>();
  for (let i = 0; i < count; i++) {
    using wire = await connect(url);
    all.add((await wire.ask('GET /')).body);
  }
  return all;
}

/** Makes `code` the release of the next workers. @returns the file without which none of them is ready */
function holdNext(site: Site, code: string): string {
  const go = path.join(site.folder, 'go');
  site.replaceRelease(`
    const wait = () => existsSync(${JSON.stringify(go)}) || Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20) && wait();
    const { existsSync } = require('node:fs');
    wait();
    ${code}`);
  return go;
}

async function losingNothing(site: Site, work: () => Promise<void>): Promise<void> {
  const { url } = site.server;
  const clients = [new Clients(url, 3, 'one-each'), new Clients(url, 3, 'kept-alive')];
  await eventually('the first answers', () => clients.every(({ done }) => done > 10));
  await work();
  const before = clients.map(({ done }) => done);
  await eventually('further answers', () => clients.every(({ done }, i) => done > (before[i] ?? 0) + 10));
  for (const one of clients) {
    const { failures, reconnects } = await one.stop();
    expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
  }
}

describe.concurrent.each(models)('$model', ({ model, args, queues }) => {
  test('each event loop has a queue, and the kernel chooses', async () => {
    await using site = await start(model, args);
    await eventually('a queue for each', () => queuesOf(site.server) === queues);
    const answers = new Set<string>();
    await eventually('all of them to answer', async () => {
      for (const one of await answersOf(site.server.url, 20)) answers.add(one);
      return answers.size === queues;
    });
  });

  test('reloads, fewer workers and more lose nothing', async () => {
    await using site = await start(model, args);
    await losingNothing(site, async () => {
      for (const release of ['second', 'third']) {
        site.write(who(release));
        expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      }
      if (model === 'prethread') return; // one process
      for (const workers of ['3', '1', '2']) {
        expect(await site.ask('POST', '/scale', JSON.stringify({ workers }))).toMatchObject({ status: 200 });
      }
    });
    expect([...(await answersOf(site.server.url, 10))].every((one) => one.startsWith('third '))).toBe(true);
  });

  test('switches there and back, and an upgrade, lose nothing', async () => {
    await using site = await Site.start(model, args, {}, {}, undefined, who('first'));
    const { url } = site.server;
    const clients = [new Clients(url, 3, 'one-each'), new Clients(url, 3, 'kept-alive')];
    for (const accept of ['reuseport', 'dispatch', 'reuseport', 'shared']) {
      const body = JSON.stringify({ options: { accept } });
      expect(await site.ask('POST', '/switch', body)).toMatchObject({ status: 200 });
      await answersOf(url, 20);
    }
    for (const one of clients) {
      const { failures, reconnects } = await one.stop();
      expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
    }
  });

  test('a switch that is rolled back leaves no queue without a worker', async () => {
    await using site = await Site.start(model, [...args, '--accept', 'shared'], { probation: '300ms' });
    site.replaceRelease(
      "setTimeout(() => { throw new Error('no database'); }, 100); module.exports = (_, res) => res.end('new');",
    );
    const body = JSON.stringify({ options: { accept: 'reuseport' } });
    expect((await site.ask('POST', '/switch', body)).json.error).toMatch(/rolled back/);
    expect(await answersOf(site.server.url, 60)).toEqual(new Set(['first']));
  });
});

test.concurrent('clients in the queue of a worker that has died are served by another, at once', async () => {
  await using site = await start('prefork', ['--workers', '2']);
  const { server } = site;
  const go = holdNext(site, who('next'));
  await eventually('both queues', () => queuesOf(server) === 2);
  const [victim] = server.workers() as [number];
  process.kill(victim, 'SIGKILL');
  const answers = await answersOf(server.url, 40);
  expect(existsSync(go)).toBe(false);
  expect(answers.size).toBe(1);
  expect([...answers][0]).not.toContain(` ${victim} `);
  expect(queuesOf(server)).toBe(2);
  writeFileSync(go, '');
  await eventually('the next one to answer', async () =>
    [...(await answersOf(server.url, 20))].some((one) => one.startsWith('next')),
  );
});

test.concurrent('clients that wait in the queues of workers when these are killed are served by others', async () => {
  await using site = await start('prefork', ['--workers', '2']);
  const { server } = site;
  await eventually('both queues', () => queuesOf(server) === 2);
  const victims = server.workers();
  // They accept nothing more, so each client is in a queue.
  for (const victim of victims) process.kill(victim, 'SIGSTOP');
  const waiting = await Promise.all(Array.from({ length: 40 }, () => connect(server.url)));
  await Promise.all(waiting.map((wire) => wire.request('GET /')));
  for (const victim of victims) process.kill(victim, 'SIGKILL');
  for (const wire of waiting) {
    const { body } = await wire.response();
    expect(victims.map(String)).not.toContain(body.split(' ')[1]);
    expect(body).toMatch(/^first/);
    wire.close();
  }
});

test.concurrent('while a worker is missing, no more connections are open than --max-connections', async () => {
  const counting = `
    let open = 0, most = 0;
    module.exports = (_req, res) => {
      most = Math.max(most, ++open);
      setTimeout(() => { open--; res.setHeader('connection', 'close').end(process.pid + ' ' + most); }, 50);
    };`;
  const args = ['--accept', 'reuseport', '--workers', '2', '--max-connections', '4'];
  await using site = await Site.start('prefork', args, {}, {}, undefined, counting);
  const { server } = site;
  await eventually('both queues', () => queuesOf(server) === 2);
  const [victim, other] = server.workers() as [number, number];
  const go = holdNext(site, counting);
  process.kill(victim, 'SIGKILL');
  const wires = await Promise.all(Array.from({ length: 40 }, () => connect(server.url)));
  const answers = await Promise.all(wires.map(async (wire) => (await wire.ask('GET /')).body));
  for (const wire of wires) wire.close();
  expect(answers.every((one) => one.startsWith(`${other} `))).toBe(true);
  expect(Math.max(...answers.map((one) => Number(one.split(' ')[1])))).toBe(4);
  writeFileSync(go, '');
});

test.concurrent('clients in the queue of a thread that has died are served by another', async () => {
  const app = `
    const { threadId } = require('node:worker_threads');
    module.exports = (req, res) => { if (req.url === '/exit') process.exit(1); res.end(String(threadId)); };
  `;
  const args = ['--accept', 'reuseport', '--threads', '2', '--quarantine-after', '0'];
  await using site = await Site.start('prethread', args, {}, {}, undefined, app);
  for (let i = 0; i < 5; i++) {
    using wire = await connect(site.server.url);
    await wire.request('GET /exit');
    expect(await wire.rest()).toHaveLength(0);
    await answersOf(site.server.url, 20);
  }
});

test.concurrent('workers that are paused leave their clients in the queues, and find them again', async () => {
  await using site = await start('prefork', ['--workers', '2']);
  await eventually('both queues', () => queuesOf(site.server) === 2);
  expect(await site.ask('POST', '/drain')).toMatchObject({ status: 200 });
  const waiting = Array.from({ length: 12 }, () => new Wire(net.connect(connectOptions(site.server.url))));
  await Promise.all(waiting.map((wire) => wire.request('GET /')));
  expect(await site.ask('POST', '/scale', '{"workers": "2"}')).toMatchObject({ status: 200 });
  for (const wire of waiting) {
    expect((await wire.response()).body).toMatch(/^first/);
    wire.close();
  }
});

test.concurrent('an upgrade keeps the queues, and those who wait in them', async () => {
  await using site = await start('prefork', ['--workers', '2', '--pid-file', 'PID']);
  const { url } = site.server;
  const clients = new Clients(url, 4, 'one-each');
  site.write(who('second'));
  expect(await site.ask('POST', '/upgrade')).toMatchObject({ status: 200 });
  await eventually('the new server to answer', () => [...clients.heard].some((one) => one.startsWith('second')));
  expect((await clients.stop()).failures).toEqual([]);
  expect(await answersOf(url, 40)).toHaveLength(2);
  expect(await site.ask('POST', '/stop')).toMatchObject({ status: 200 });
  await site.server.noneLeft();
});

test.concurrent('a Unix socket has one queue for all workers', async () => {
  await using site = await start('prefork', ['--workers', '2', '--bind', 'unix:SOCKET', '--bind', '127.0.0.1:0']);
  for (const url of site.server.urls) {
    const answers = new Set<string>();
    await eventually('both workers to answer', async () => {
      for (const one of await answersOf(url, 10)) answers.add(one);
      return answers.size === 2;
    });
  }
});

test.concurrent('no second server gets a part of the clients', async () => {
  await using site = await start('prefork', ['--workers', '2']);
  await eventually('both queues', () => queuesOf(site.server) === 2);
  const bind = [new URL(site.server.url).host];
  const args = ['--accept', 'reuseport'];
  await expect(startServer({ bind, args })).rejects.toThrow(/the port is in use/);
});

test.concurrent.each([
  [
    ['--sticky', 'ip'],
    /--sticky needs --unit request, or --accept dispatch with --model prefork or prethread: without it each worker accepts/,
  ],
  [['--balance', 'lag'], /--balance needs --accept dispatch: without it each worker accepts by itself/],
  [['--model', 'tpc'], /--accept does nothing with the model tpc/],
])('%j is refused, or of no use', async (args, reason) => {
  const { stderr } = await runCli(['config', '--accept', 'reuseport', ...args]);
  expect(stderr).toMatch(reason);
});
