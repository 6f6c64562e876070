// --unit request: what an app in a thread sees of a request whose connection the process has, and what becomes of its response.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { fixture, type Line, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const args = ['--threads', '2', '--unit', 'request'];

describe.concurrent('each kind of app answers', () => {
  test.each([
    ['listen.cjs', 'listen'],
    ['listener.cjs', 'listener'],
    ['server.cjs', 'server'],
    ['express.cjs', 'express'],
    ['koa.cjs', 'koa'],
    ['fastify.mjs', 'fastify'],
    ['fastify-listen.mjs', 'fastify-listen'],
    ['hono.mjs', 'hono'],
    ['fetch.mjs', 'fetch'],
  ])('%s', async (app, answer) => {
    await using server = await startServer({ app: fixture(app), model: 'prethread', args });
    using wire = await connect(server.url);
    const { status, body } = await wire.ask('GET /');
    expect({ status, body }).toEqual({ status: 200, body: answer });
  });
});

describe('an app in a thread', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startServer({ app: fixture('tasks.cjs'), model: 'prethread', args });
  });
  afterAll(() => server.stop());

  const seen = (what: string, is: (line: Line) => boolean) => server.waitFor(what, is);
  const ask = async (line: string, headers = {}, body?: string) => {
    using wire = await connect(server.url);
    return await wire.ask(line, headers, body);
  };

  test('sees both ends of the connection in req.socket', async () => {
    using wire = await connect(server.url);
    const { localPort, remotePort } = wire.socket;
    const { body } = await wire.ask('GET /socket');
    expect(JSON.parse(body)).toEqual({
      remoteAddress: '127.0.0.1',
      remotePort: localPort,
      remoteFamily: 'IPv4',
      localAddress: '127.0.0.1',
      localPort: remotePort,
      encrypted: false,
      same: true,
      address: { address: '127.0.0.1', port: remotePort, family: 'IPv4' },
    });
  });

  test('can end the connection by destroying req.socket, and cannot write to it', async () => {
    for (const route of ['/destroy-socket', '/write-socket']) {
      using wire = await connect(server.url);
      await wire.request(`GET ${route}`);
      expect(await wire.rest()).toHaveLength(0);
    }
    const { wrote } = await seen('the error', (line) => line.wrote !== undefined);
    expect(wrote).toMatch(/req\.socket cannot be written to: with --unit request/);
  });

  test('sees the events of a response in the order of Node', async () => {
    expect((await ask('GET /events')).body).toBe('ok');
    const { events } = await seen('the events', (line) => Array.isArray(line.events));
    const ofRequest = 'request closed';
    expect(events).toContain(ofRequest);
    expect((events as string[]).filter((name) => name !== ofRequest)).toEqual([
      'prefinish',
      'finish',
      'callback',
      'close',
    ]);
  });

  test('sees a client that goes away', async () => {
    using wire = await connect(server.url);
    await wire.request('GET /until-gone');
    await seen('the app to wait', (line) => line.seen === 'waiting');
    wire.close();
    const line = await seen('the app to see it', ({ seen }) => Array.isArray(seen));
    expect(line.seen).toEqual(expect.arrayContaining(['aborted', 'ECONNRESET', 'request closed', 'socket closed']));
    expect(line.finished).toBe(false);
  });

  test('sends informational responses before its own', async () => {
    using wire = await connect(server.url);
    await wire.request('GET /hints');
    expect(await wire.head()).toMatchObject({ status: 103, headers: { link: '</style.css>; rel=preload; as=style' } });
    expect((await wire.response()).body).toBe('hinted');
  });

  test('has its status, message and header fields sent as they are', async () => {
    using wire = await connect(server.url);
    await wire.request('GET /status');
    const text = String(await wire.take(100));
    expect(text).toMatch(/^HTTP\/1\.1 299 Quite Good\r\n/);
    expect(text).toMatch(/\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a=1\r\n/);
  });

  test('can leave out fields that Node adds', async () => {
    using wire = await connect(server.url);
    await wire.request('GET /bare');
    const { headers } = await wire.head();
    expect(Object.keys(headers).sort()).toEqual(['content-length', 'x-request-id', 'x-thread']);
    expect(String(await wire.take(4))).toBe('bare');
  });

  test('can close the connection after its response', async () => {
    using wire = await connect(server.url);
    expect(await wire.ask('GET /closes')).toMatchObject({ body: 'last', headers: { connection: 'close' } });
    expect(await wire.rest()).toHaveLength(0);
  });

  test('sends texts in each encoding, bytes and no body', async () => {
    expect(Buffer.from((await ask('GET /mixed')).body, 'latin1')).toEqual(
      Buffer.from([0xe9, 0xc3, 0xa9, 0xff, 0x00, 1, 2, 3]),
    );
    expect((await ask('GET /large')).body).toBe('l'.repeat(8 * 2 ** 20));
    expect(Buffer.from((await ask('GET /large-text')).body, 'latin1').toString()).toBe('é'.repeat(1_000_000));
    expect((await ask('GET /no-body')).status).toBe(204);
  });

  test('gets the error of Node for a wrong body or header field, and the client 500', async () => {
    const wrong = {
      '/wrong-body': 'ERR_INVALID_ARG_TYPE|must be of type string',
      '/wrong-header': 'Invalid character in header content',
      '/wrong-length': 'content-length',
    };
    for (const [route, message] of Object.entries(wrong)) {
      const reqId = `wrong${route.replace('/', '-')}`;
      expect((await ask(`GET ${route}`, { 'x-request-id': reqId })).status, route).toBe(500);
      const { err } = await seen('the error', (line) => line.event === 'request-failed' && line.reqId === reqId);
      expect((err as { message: string }).message).toMatch(new RegExp(message, 'i'));
    }
  });

  test('that fails after its response has the error logged', async () => {
    expect((await ask('GET /twice', { 'x-request-id': 'after-it' })).body).toBe('first');
    await seen('the error', (line) => line.event === 'request-failed' && line.reqId === 'after-it');
  });

  test('can read on after its response', async () => {
    using wire = await connect(server.url);
    await wire.write('POST /reads-on HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n');
    await wire.write(Buffer.alloc(50_000));
    expect((await wire.response()).body).toBe('early');
    await wire.write(Buffer.alloc(50_000));
    await seen('what it has read', (line) => line.readOn === 100_000);
    expect((await wire.ask('GET /')).body).toBe('ok');
  });

  test('has its own timeout', async () => {
    expect((await ask('GET /timeout')).body).toBe('timed out');
  });

  test('never has an upload whose connection was closed while it waited', async () => {
    const head = 'POST /count HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n';
    const uploads = await Promise.all([1, 2].map(() => connect(server.url)));
    try {
      // Each of them has a thread until its body has come.
      for (const upload of uploads) {
        await upload.write(head);
        expect((await upload.head()).status).toBe(100);
      }
      using wire = await connect(server.url);
      const wrong = 'POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n';
      await wire.write(`GET / HTTP/1.1\r\nhost: a\r\n\r\n${wrong}`);
      await wire.rest();
      for (const upload of uploads) await upload.write('body');
      for (const upload of uploads) expect((await upload.response()).body).toBe('4');
    } finally {
      for (const upload of uploads) upload.close();
    }
    using next = await connect(server.url);
    await eventually('both threads to have room', async () => {
      const [one, other] = [await next.ask('GET /'), await next.ask('GET /')];
      return one.headers['x-thread'] !== other.headers['x-thread'];
    });
  });

  test('does not keep the requests of others behind it, and the thread that has been free for longest is next', async () => {
    using slow = await connect(server.url);
    using quick = await connect(server.url);
    // Its thread has it until its body, of which the length is not known, has come.
    await slow.write('POST /count HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n');
    expect((await slow.head()).status).toBe(100);
    const threads = new Set<string | undefined>();
    for (let i = 0; i < 5; i++) threads.add((await quick.ask('GET /')).headers['x-thread']);
    expect(threads.size).toBe(1);
    await slow.write('4\r\nbody\r\n0\r\n\r\n');
    expect((await slow.response()).body).toBe('4');
    for (let i = 0; i < 4; i++) threads.add((await quick.ask('GET /')).headers['x-thread']);
    expect(threads.size).toBe(2);
  });
});

describe.concurrent('a value that is no response is named in the log', () => {
  const log = async (app: string, wanted: Readonly<Record<string, RegExp>>): Promise<void> => {
    await using server = await startServer({ app: fixture(app), model: 'prethread', args });
    for (const [route, message] of Object.entries(wanted)) {
      const reqId = `value${route.replace('/', '-')}`;
      using wire = await connect(server.url);
      await wire.request(`GET ${route}`, { 'x-request-id': reqId, connection: 'close' });
      const text = String(await wire.rest());
      if (text !== '') expect(text, route).toMatch(/^HTTP\/1\.1 500 /);
      const is = (line: Line): boolean =>
        (line.event === 'request-failed' || line.event === 'response-cut') && line.reqId === reqId;
      const { err } = await server.waitFor(`the error of ${route}`, is);
      expect((err as { message: string }).message).toMatch(message);
    }
    using wire = await connect(server.url);
    expect((await wire.ask('GET /')).body).toBe('ok');
  };

  test('which a fetch handler returns', () =>
    log('no-response.mjs', {
      '/function': /returned the function render instead of a Response/,
      '/nameless': /returned a function instead of a Response/,
      '/symbol': /returned the symbol Symbol\(done\) instead of a Response/,
      '/socket': /returned an instance of Socket instead of a Response/,
      '/number': /returned a value of type number instead of a Response/,
      '/hostile': /thrown by the value/,
      '/stream': /Received function/,
    }));

  test('which a listener sends', () =>
    log('tasks.cjs', {
      '/send-socket': /Received an instance of Socket/,
      '/send-symbol': /Received type symbol \(Symbol\(done\)\)/,
      '/send-function': /Received function render/,
      '/throw-function': /function render/,
    }));

  test('which an Express app sends', () =>
    log('express-values.cjs', {
      '/socket': /Received an instance of Socket/,
      '/symbol': /Received type symbol \(Symbol\(done\)\)/,
    }));
});

describe.concurrent('the queue', () => {
  // The process takes connections back from a thread that takes none for 500 ms while others do.
  test('is not lost to a thread whose last request took more than a second', async () => {
    await using server = await startServer({ app: fixture('tasks.cjs'), model: 'prethread', args });
    using wire = await connect(server.url);
    const lines = ['GET /sleep?ms=1200', 'GET /', 'GET /'];
    const threads: (string | undefined)[] = [];
    for (const line of lines) threads.push((await wire.ask(line)).headers['x-thread']);
    expect(threads[2]).toBe(threads[0]);
    expect(threads[1]).not.toBe(threads[0]);
  });

  test('holds --queue-max requests, and refuses others', async () => {
    const limits = ['--threads', '1', '--queue-max', '1', '--queue-timeout', '30s'];
    await using server = await startServer({
      app: fixture('tasks.cjs'),
      model: 'prethread',
      args: ['--unit', 'request', ...limits],
    });
    const wires = await Promise.all([1, 2, 3].map(() => connect(server.url)));
    try {
      const answers = wires.map(async (wire) => (await wire.ask('GET /sleep?ms=500')).status);
      expect((await Promise.all(answers)).sort()).toEqual([200, 200, 503]);
    } finally {
      for (const wire of wires) wire.close();
    }
  });

  test('gives a thread --tasks-per-thread requests at the same time', async () => {
    await using server = await startServer({
      app: fixture('tasks.cjs'),
      model: 'prethread',
      args: ['--unit', 'request', '--threads', '1', '--tasks-per-thread', '3', '--queue-max', '0'],
    });
    const wires = await Promise.all([1, 2, 3, 4].map(() => connect(server.url)));
    try {
      const answers = wires.map(async (wire) => (await wire.ask('GET /sleep?ms=500')).status);
      expect((await Promise.all(answers)).sort()).toEqual([200, 200, 200, 503]);
    } finally {
      for (const wire of wires) wire.close();
    }
  });
});
