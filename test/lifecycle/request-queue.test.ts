// --unit request: requests that wait for threads, and those that threads give back.
import { describe, expect, test } from 'vitest';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect, connectAll, type Wire } from '../helpers/wire.ts';

const start = (...args: readonly string[]): Promise<Server> =>
  startServer({
    app: fixture('tasks.cjs'),
    model: 'prethread',
    args: ['--unit', 'request', '--hang-timeout', '0', '--queue-timeout', '60s', ...args],
  });

describe.concurrent('a thread', () => {
  test('that was blocked while the other one was busy serves again', async () => {
    await using server = await start('--threads', '2');
    using slow = await connect(server.url);
    using quick = await connect(server.url);
    let isOver = false;
    const blocked = slow.ask('GET /block?ms=1500').finally(() => {
      isOver = true;
    });
    while (!isOver) expect((await quick.ask('GET /')).status).toBe(200);
    expect((await blocked).body).toBe('blocked');
    const threads = new Set<string | undefined>();
    for (let i = 0; i < 4; i++) threads.add((await quick.ask('GET /')).headers['x-thread']);
    expect(threads.size).toBe(2);
  });

  test('does not give a request back of whose body it has a part', async () => {
    await using server = await start('--threads', '2', '--health-path', '/healthz');
    using wires = await connectAll(server.url, 8);
    const [one, two, asks, ...more] = wires.all as [Wire, Wire, Wire, ...Wire[]];
    // One thread looks free, and is blocked; the other one is busy for a while.
    const first = (await one.ask('GET /block-after?ms=1500')).headers['x-thread'];
    await server.waitFor('the thread to be blocked', ({ seen }) => seen === 'blocking');
    const asleep = two.ask('GET /sleep?ms=600');
    await one.write('POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n');
    await one.write(Buffer.alloc(60_000));
    for (let i = 0; i < 3; i++) await asks.ask('GET /healthz'); // the process has read it
    const behind = more.map(async (wire) => (await wire.ask('GET /')).headers['x-thread']);
    expect((await asleep).headers['x-thread']).not.toBe(first);
    await one.write(Buffer.alloc(40_000));
    const { body, headers } = await one.response();
    expect({ body, thread: headers['x-thread'] }).toEqual({ body: '100000', thread: first });
    expect(await Promise.all(behind)).toHaveLength(5);
  });
});

describe.concurrent('requests that wait', () => {
  test('let those with priority go first, but for the one that the thread has ahead', async () => {
    await using server = await start('--threads', '1', '--priority-path', '/no-body', '--health-path', '/healthz');
    using wires = await connectAll(server.url, 9);
    const [slow, asks, late, ...more] = wires.all as [Wire, Wire, Wire, ...Wire[]];
    const order: string[] = [];
    const asleep = slow.ask('GET /sleep?ms=800').then(() => order.push('slow'));
    await asks.ask('GET /healthz');
    const ordinary = more.map((wire) => wire.ask('GET /').then(() => order.push('ordinary')));
    for (let i = 0; i < 3; i++) await asks.ask('GET /healthz'); // the process has read them
    const first = late.ask('GET /no-body').then(() => order.push('priority'));
    await Promise.all([asleep, ...ordinary, first]);
    expect(order.slice(0, 3)).toEqual(['slow', 'ordinary', 'priority']);
    expect(order).toHaveLength(8);
  });

  test('are shed for --shed', async () => {
    await using server = await start('--threads', '1', '--shed', 'p99=300ms');
    using wires = await connectAll(server.url, 20);
    const answers = await Promise.all(wires.all.map(async (wire) => (await wire.ask('GET /sleep?ms=100')).status));
    const served = answers.filter((status) => status === 200).length;
    expect(answers.filter((status) => status === 503)).toHaveLength(20 - served);
    expect(served).toBeGreaterThanOrEqual(2);
    expect(served).toBeLessThan(10);
    await server.waitFor('its line', ({ event, reason }) => event === 'overloaded' && reason === 'shed');
  });
});
