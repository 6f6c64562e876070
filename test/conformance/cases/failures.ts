// Requests that are wrong and apps that fail: what the client gets, what the log says, and that it harms no other.
import { expect, test } from 'vitest';
import { eventually } from '../../helpers/eventually.js';
import type { Line } from '../../helpers/server.js';
import type { Wire } from '../../helpers/wire.js';
import { type Place, token } from '../target.js';

const malformed = {
  'no request at all': 'nonsense\r\n\r\n',
  'an unknown method': 'BREW / HTTP/1.1\r\nhost: a\r\n\r\n',
  'an unknown version': 'GET / HTTP/3.1\r\nhost: a\r\n\r\n',
  'a space in a field name': 'GET / HTTP/1.1\r\nhost : a\r\n\r\n',
  'no host': 'GET / HTTP/1.1\r\n\r\n',
  'two lengths': 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
  'a length and chunks':
    'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'a negative length': 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n',
  'a null byte': 'GET / HTTP/1.1\r\nhost: a\0\r\n\r\n',
} as const;

export function failures({ connect, has, server }: Place): void {
  test('malformed requests get 400 and are closed', async () => {
    for (const [what, bytes] of Object.entries(malformed)) {
      using wire = await connect();
      await wire.write(bytes);
      expect((await wire.head()).status, what).toBe(400);
      await wire.rest();
    }
  });

  test('a malformed request behind a good one does not cost the good one its answer', async () => {
    using wire = await connect();
    await wire.write('GET / HTTP/1.1\r\nhost: a\r\n\r\nnonsense\r\n\r\n');
    expect(await wire.response()).toMatchObject({ status: 200, body: 'ok' });
    await wire.rest();
  });

  test('too large headers get 431', async () => {
    using wire = await connect();
    await wire.request('GET /', { 'x-large': 'x'.repeat(17_000) });
    expect((await wire.head()).status).toBe(431);
    await wire.rest();
  });

  if (!has('failures answered')) return;

  for (const route of ['/throw', '/reject', '/reject-textless', '/reject-hostile']) {
    test(`${route}: 500 with the request id and no stack, an error line, and the connection goes on`, async () => {
      const id = token();
      using wire = await connect();
      const before = has('workers keep connections') && (await wire.ask('GET /')).headers['x-worker'];
      const { status, body, headers } = await wire.ask(`GET ${route}`, { 'x-request-id': id });
      expect([status, headers['x-request-id']]).toEqual([500, id]);
      expect(body).toContain(id);
      expect(body).not.toMatch(/by the app|\bat |\.cjs|node:/);
      await server().waitFor('the error line', isErrorOf(id));
      const after = await wire.ask('GET /');
      expect(after.body).toBe('ok');
      if (before) expect(after.headers['x-worker']).toBe(before);
    });
  }

  for (const route of ['/late-throw', '/late-reject']) {
    test(`${route}: after the headers went out the connection is cut and an error line has the request id`, async () => {
      const id = token();
      using wire = await connect();
      await wire.request(`GET ${route}`, { 'x-request-id': id, connection: 'close' });
      // What the app wrote before it threw may be lost; what came must not pass for a whole answer.
      const isAnswered = has('cut failures') ? /^HTTP\/1.1 [345]|\r\n0\r\n\r\n$/ : /^HTTP\/1.1 [34]|\r\n0\r\n\r\n$/;
      expect(String(await wire.rest())).not.toMatch(isAnswered);
      await server().waitFor('the error line', isErrorOf(id));
    });
  }

  test('/throw-unanswerable: a response that cannot be written is cut, an error line, and the worker goes on', async () => {
    const id = token();
    using wire = await connect();
    await wire.request('GET /throw-unanswerable', { 'x-request-id': id });
    if (has('cut failures')) expect(await wire.rest()).toHaveLength(0);
    else expect([500, 502]).toContain((await wire.response()).status);
    await server().waitFor('the error line', isErrorOf(id));
    using next = await connect();
    expect((await next.ask('GET /')).body).toBe('ok');
    expect(server().lines.filter(({ event }) => event === 'app-crashed')).toEqual([]);
  });
}

/** Last, for they end workers. */
export function exits({ connect, has }: Place): void {
  test('an app that exits loses its own connections only, and the server goes on', async () => {
    using doomed = await connect();
    const worker = (await doomed.ask('GET /')).headers['x-worker'];
    using other = await elsewhere(connect, worker);
    await doomed.request('GET /exit');
    if (has('cut failures')) expect(await doomed.rest()).toHaveLength(0);
    else expect((await doomed.response()).status).toBe(502);
    expect((await other.ask('GET /')).body).toBe('ok');
    using next = await connect();
    expect((await next.ask('GET /')).body).toBe('ok');
  });
}

// Who gets a connection is the kernel's choice in some modes, and a worker that died is replaced after a while.
async function elsewhere(connect: () => Promise<Wire>, worker: string | undefined): Promise<Wire> {
  const wires: Wire[] = [];
  let found: Wire | undefined;
  try {
    found = await eventually('a connection to another worker', async () => {
      const wire = await connect();
      wires.push(wire);
      return (await wire.ask('GET /')).headers['x-worker'] !== worker && wire;
    });
    return found;
  } finally {
    for (const wire of wires) if (wire !== found) wire.close();
  }
}

function isErrorOf(id: string): (line: Line) => boolean {
  return (line) => line.reqId === id && (line.level === 'error' || line.level === 50);
}
