// --sticky with --unit request: each request of a session goes to the same thread of its process, whatever the connection.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, connectAll, type Response, type Wire } from '../helpers/wire.ts';

const tasks = readFileSync(fixture('tasks.cjs'), 'utf8');
const carts = readFileSync(fixture('carts.cjs'), 'utf8');

function start(rule: string, args: readonly string[], code = tasks, model = 'prethread'): Promise<Site> {
  return Site.start(model, ['--unit', 'request', '--sticky', rule, ...args], {}, {}, undefined, code);
}

const named = (session: string) => ({ 'x-session': session });
const threadOf = ({ headers }: Response) => headers['x-thread'] as string;

/** Asks for all of `requests` on these connections, each of which has one request at a time, as a proxy does. */
async function through<T>(wires: readonly Wire[], requests: readonly T[], ask: (wire: Wire, one: T) => Promise<void>) {
  const left = [...requests];
  const use = async (wire: Wire): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await ask(wire, one);
  };
  await Promise.all(wires.map(use));
}

const placedAgain = async (site: Site): Promise<number> => (await site.ask('GET', '/status')).json.sessions.placedAgain;

/** A session of its own at each thread. */
async function sessionsOfThreads(server: Server, count: number): Promise<ReadonlyMap<string, string>> {
  using wire = await connect(server.url);
  const sessions = new Map<string, string>();
  for (let i = 0; sessions.size < count; i++) {
    const thread = threadOf(await wire.ask('GET /', named(`s${i}`)));
    if (!sessions.has(thread)) sessions.set(thread, `s${i}`);
  }
  return sessions;
}

describe.concurrent('each request of a session goes to the same thread', () => {
  test('when a proxy mixes sessions on one connection', async () => {
    await using site = await start('header:X-Session', ['--threads', '4']);
    const sessions = await sessionsOfThreads(site.server, 4);
    using wires = await connectAll(site.server.url, 2);
    for (let round = 0; round < 5; round++) {
      for (const [thread, session] of sessions)
        for (const wire of wires.all) expect(threadOf(await wire.ask('GET /', named(session)))).toBe(thread);
    }
    const others = new Set<string>();
    for (let i = 0; i < 4; i++) others.add(threadOf(await (wires.all[0] as Wire).ask('GET /')));
    expect(others.size).toBe(4); // without a session
    expect(await placedAgain(site)).toBe(0);
  });

  test('with 1,000 sessions on 16 connections', async () => {
    await using site = await start('header:x-session', ['--threads', '4', '--queue-timeout', '60s']);
    using wires = await connectAll(site.server.url, 16);
    const threads = new Map<number, Set<string>>();
    const all = Array.from({ length: 4000 }, (_, i) => i % 1000);
    await through(wires.all, all, async (wire, session) => {
      const seen = threads.get(session) ?? new Set();
      threads.set(session, seen.add(threadOf(await wire.ask('GET /', named(`session ${session}`)))));
    });
    expect([...threads.values()].filter(({ size }) => size !== 1)).toEqual([]);
    expect(new Set([...threads.values()].flatMap((seen) => [...seen])).size).toBe(4);
    expect(await placedAgain(site)).toBe(0);
  });

  test('whose body is sent in parts, while others wait', async () => {
    await using site = await start('header:x-session', ['--threads', '2', '--queue-timeout', '60s']);
    const threads = new Map<string, string>();
    using wires = await connectAll(site.server.url, 12);
    const all = Array.from({ length: 240 }, (_, i) => `s${i % 6}`);
    await through(wires.all, all, async (wire, session) => {
      const answer = await wire.ask('POST /count', named(session), 'x'.repeat(70_000));
      expect(answer.body).toBe('70000');
      expect(threads.get(session) ?? threadOf(answer)).toBe(threadOf(answer));
      threads.set(session, threadOf(answer));
    });
    expect(new Set(threads.values()).size).toBe(2);
  });

  test('which has begun it with a cookie', async () => {
    await using site = await start('cookie:sid', ['--threads', '4'], carts);
    using wires = await connectAll(site.server.url, 8);
    const cookies = new Map<number, string>();
    const items = new Map<number, number>();
    for (let round = 1; round <= 5; round++) {
      const clients = Array.from({ length: 60 }, (_, i) => i);
      await through(wires.all, clients, async (wire, client) => {
        const { headers, body } = await wire.ask('GET /', { cookie: cookies.get(client) ?? 'a=1' });
        cookies.set(client, headers['set-cookie']?.split(';')[0] ?? (cookies.get(client) as string));
        items.set(client, JSON.parse(body).items);
      });
      expect(new Set(items.values())).toEqual(new Set([round]));
    }
    expect(await placedAgain(site)).toBe(0);
  });

  test('which has named it in its body, for the query', async () => {
    await using site = await start('query:sid', ['--threads', '4'], carts);
    using wire = await connect(site.server.url);
    const begun: { sid: string; here: string }[] = [];
    for (let i = 0; i < 8; i++) begun.push(JSON.parse((await wire.ask('GET /poll')).body.slice(1)));
    expect(new Set(begun.map(({ here }) => here)).size).toBe(4);
    for (let items = 1; items <= 3; items++)
      for (const { sid, here } of begun)
        expect(JSON.parse((await wire.ask(`GET /poll?sid=${sid}`)).body)).toEqual({ items, here });
  });

  test('which has named it in a header field of its response', async () => {
    const code = `const { threadId } = require('node:worker_threads'); let last = 0;
      module.exports = (req, res) => {
        if (!req.headers['mcp-session-id']) res.setHeader('Mcp-Session-Id', threadId + '-' + ++last);
        res.end(String(threadId));
      };`;
    await using site = await start('header:mcp-session-id', ['--threads', '3'], code);
    using wire = await connect(site.server.url);
    for (let i = 0; i < 6; i++) {
      const { headers, body } = await wire.ask('GET /');
      const session = { 'mcp-session-id': headers['mcp-session-id'] as string };
      await wire.ask('GET /', { 'mcp-session-id': `other ${i}` }); // another thread has been free for longest
      expect((await wire.ask('GET /', session)).body).toBe(body);
    }
  });

  test('by the client that a trusted proxy names', async () => {
    await using site = await start('ip', ['--threads', '4', '--trust-proxy', 'loopback']);
    using wire = await connect(site.server.url);
    const threads = new Map<string, string>();
    for (let i = 0; i < 40; i++) {
      const client = `192.0.2.${i % 8}`;
      const thread = threadOf(await wire.ask('GET /', { 'x-forwarded-for': client }));
      expect(threads.get(client) ?? thread).toBe(thread);
      threads.set(client, thread);
    }
    expect(new Set(threads.values()).size).toBe(4);
  });

  test('of its process, in hybrid', async () => {
    const code = `const { threadId } = require('node:worker_threads');
      module.exports = (_req, res) => res.setHeader('x-process', process.pid).setHeader('x-thread', threadId).end();`;
    await using site = await start('header:x-session', ['--workers', '2', '--threads', '3'], code, 'hybrid');
    using wires = await connectAll(site.server.url, 24);
    const threads = new Map<string, string>();
    const all = Array.from({ length: 600 }, (_, i) => `s${i % 20}`);
    await through(wires.all, all, async (wire, session) => {
      const answer = await wire.ask('GET /', named(session));
      const place = `${answer.headers['x-process']} ${session}`;
      expect(threads.get(place) ?? threadOf(answer)).toBe(threadOf(answer));
      threads.set(place, threadOf(answer));
    });
    expect(new Set(threads.values()).size).toBeGreaterThan(1);
  });
});

describe.concurrent('a session', () => {
  test('whose thread dies is placed again, and counted; the others stay', async () => {
    await using site = await start('header:x-session', ['--threads', '3']);
    const sessions = await sessionsOfThreads(site.server, 3);
    const [[thread, session], ...others] = [...sessions] as [[string, string], ...(readonly [string, string])[]];
    using wire = await connect(site.server.url);
    expect((await wire.ask('GET /die', named(session))).status).toBe(502);
    const answer = await wire.ask('GET /', named(session));
    expect(answer.status).toBe(200);
    expect(threadOf(answer)).not.toBe(thread);
    for (let round = 0; round < 3; round++) {
      expect(threadOf(await wire.ask('GET /', named(session)))).toBe(threadOf(answer));
      for (const [its, other] of others) expect(threadOf(await wire.ask('GET /', named(other)))).toBe(its);
    }
    await eventually('it to be counted', async () => (await placedAgain(site)) === 1);
    await site.server.waitFor('its line', ({ event, count }) => event === 'sessions-placed-again' && count === 1);
  });

  test('whose thread is blocked waits for it, and the others go on', async () => {
    const limits = ['--threads', '2', '--queue-max', '100', '--queue-timeout', '60s', '--hang-timeout', '0'];
    await using site = await start('header:x-session', limits);
    const [[blocked, session], [free, other]] = [...(await sessionsOfThreads(site.server, 2))] as [
      string,
      string,
    ][] as [[string, string], [string, string]];
    using wires = await connectAll(site.server.url, 61);
    const [wire, ...more] = wires.all as [Wire, ...Wire[]];
    const order: string[] = [];
    const first = wire.ask('GET /block?ms=3000', named(session)).then(() => order.push('blocked'));
    // More than the thread may have ahead.
    const behind = more.map(async (one) => {
      const answer = await one.ask('GET /', named(session));
      expect({ status: answer.status, thread: threadOf(answer) }).toEqual({ status: 200, thread: blocked });
      order.push('behind');
    });
    await eventually('requests to wait', async () => {
      const { json } = await site.ask('GET', '/status');
      return json.state === 'serving' && site.server.lines.every(({ event }) => event !== 'overloaded');
    });
    using quick = await connect(site.server.url);
    for (let i = 0; i < 50; i++) {
      expect(threadOf(await quick.ask('GET /', named(other)))).toBe(free);
      expect(threadOf(await quick.ask('GET /'))).toBe(free);
    }
    order.push('others');
    await Promise.all([first, ...behind]);
    expect(order.slice(0, 2)).toEqual(['others', 'blocked']);
    expect(order).toHaveLength(62);
  });

  test('waits for its thread for --queue-timeout, within --queue-max', async () => {
    const limits = ['--threads', '2', '--queue-max', '12', '--queue-timeout', '500ms', '--hang-timeout', '0'];
    await using site = await start('header:x-session', limits);
    const [[, session]] = [...(await sessionsOfThreads(site.server, 2))] as [[string, string]];
    using wires = await connectAll(site.server.url, 21);
    const [wire, ...more] = wires.all as [Wire, ...Wire[]];
    const first = wire.ask('GET /block?ms=3000', named(session));
    const since = performance.now();
    const answers = await Promise.all(
      more.map(async (one) => {
        const { status, headers } = await one.ask('GET /', named(session));
        return { status, retry: headers['retry-after'], ms: performance.now() - since };
      }),
    );
    expect(answers.every(({ status, retry }) => status === 503 && retry === '1')).toBe(true);
    const late = answers.filter(({ ms }) => ms >= 490).length;
    // As a thread is free, one of those that wait is not counted.
    expect(late).toBeLessThanOrEqual(13);
    expect(late).toBeGreaterThanOrEqual(12);
    expect((await first).body).toBe('blocked');
    const reasons = site.server.lines.flatMap(({ event, reason }) => (event === 'overloaded' ? [reason] : []));
    expect(new Set(reasons)).toEqual(new Set(['queue-full', 'queue-timeout']));
    expect((await wire.ask('GET /', named(session))).status).toBe(200);
  });

  test('that has not begun goes to a thread that is free', async () => {
    const limits = ['--threads', '2', '--queue-timeout', '60s', '--hang-timeout', '0'];
    await using site = await start('header:x-session', limits);
    using wires = await connectAll(site.server.url, 30);
    const [one, two, ...more] = wires.all as [Wire, Wire, ...Wire[]];
    const order: string[] = [];
    const long = one.ask('GET /block?ms=4000').then(() => order.push('long'));
    const short = two.ask('GET /block?ms=500').then(() => order.push('short'));
    const sessions = more.map(async (wire, i) => {
      const { status } = await wire.ask('GET /', named(`s${i}`));
      expect(status).toBe(200);
      order.push('session');
    });
    await Promise.all([long, short, ...sessions]);
    expect(order.at(-1)).toBe('long');
    expect(await placedAgain(site)).toBe(0);
  });
});

test('a server with a session rule for requests refuses what would need one for connections', async () => {
  await using server = await startServer({
    app: fixture('tasks.cjs'),
    model: 'prethread',
    args: ['--accept', 'dispatch', '--sticky', 'header:x-session', '--threads', '3'],
  });
  // A connection belongs to the session of its first request.
  const threads = new Set<string>();
  for (let i = 0; i < 6; i++) {
    using wire = await connect(server.url);
    threads.add(threadOf(await wire.ask('GET /', named('one'))));
  }
  expect(threads.size).toBe(1);
});
