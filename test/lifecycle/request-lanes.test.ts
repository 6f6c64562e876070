// --unit request: slow requests leave one thread to the others, and no thread waits for a client that sends slowly.
import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const start = (threads: number) =>
  startServer({
    app: fixture('tasks.cjs'),
    model: 'prethread',
    args: ['--unit', 'request', '--threads', String(threads), '--queue-timeout', '60s'],
  });

describe.concurrent('with requests on threads', () => {
  test('as many slow requests as threads leave one to the quick ones', async () => {
    const threads = availableParallelism() + 1;
    await using server = await start(threads);
    using quick = await connect(server.url);
    for (let i = 0; i < 20; i++) expect((await quick.ask('GET /')).body).toBe('ok');
    expect((await quick.ask('GET /sleep?ms=200')).body).toBe('slept');

    const ended: string[] = [];
    const wires = await Promise.all(Array.from({ length: threads }, () => connect(server.url)));
    const slow = wires.map(async (wire) => {
      const { body } = await wire.ask('GET /sleep?ms=2000');
      ended.push(body);
    });
    // More than the one that may come before them.
    for (let i = 0; i < 20; i++) ended.push((await quick.ask('GET /')).body);
    expect(ended).toEqual(Array(20).fill('ok'));
    await Promise.all(slow);
    expect(ended.slice(20)).toEqual(Array(threads).fill('slept'));
    for (const wire of wires) wire.close();
  });

  test('clients that send small bodies slowly keep no thread', async () => {
    await using server = await start(1);
    using slow = await connect(server.url);
    using quick = await connect(server.url);
    await slow.write('POST /pipe HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8\r\n\r\nhalf');
    for (let i = 0; i < 5; i++) expect((await quick.ask('GET /')).body).toBe('ok');
    await slow.write('half');
    expect(await slow.response()).toMatchObject({ status: 200, body: 'halfhalf' });
  });
});
