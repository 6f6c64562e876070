// The request id and the access log.
import { expect, test } from 'vitest';
import { type Place, token } from '../target.js';

const replaced = { 'too long': 'x'.repeat(1000), 'with markup': '<b>"x"</b>', 'with spaces': 'a b' };

export function logs({ connect, has, server, url }: Place): void {
  if (has('request ids')) {
    test('a sane x-request-id goes out as it came', async () => {
      using wire = await connect();
      const id = `${token()}_A.9`;
      expect((await wire.ask('GET /', { 'x-request-id': id })).headers['x-request-id']).toBe(id);
    });

    test('a missing or strange x-request-id is replaced, each time by another', async () => {
      using wire = await connect();
      const ids = [];
      for (let i = 0; i < 5; i++) ids.push((await wire.ask('GET /')).headers['x-request-id']);
      for (const strange of Object.values(replaced)) {
        const id = (await wire.ask('GET /', { 'x-request-id': strange })).headers['x-request-id'];
        expect(id).not.toContain(strange);
        ids.push(id);
      }
      expect(new Set(ids).size).toBe(8);
      for (const id of ids) expect(id).toMatch(/^[\w.:-]{8,128}$/);
    });

    test.each([
      ['HTTP/1.1 without a host', 'GET / HTTP/1.1\r\n\r\n', 400],
      ['HTTP/1.1 without a host, but with an id', 'GET / HTTP/1.1\r\nx-request-id: its-own\r\n\r\n', 400],
      ['an unknown expectation', 'GET / HTTP/1.1\r\nhost: a\r\nexpect: more\r\n\r\n', 417],
    ])('a request that Node refuses before it reaches the app gets no id: %s', async (_, bytes, status) => {
      using wire = await connect();
      await wire.write(bytes);
      const head = await wire.head();
      expect(head.status).toBe(status);
      expect(head.headers).not.toHaveProperty('x-request-id');
    });

    test('HTTP/1.0 without a host has an id', async () => {
      using wire = await connect();
      await wire.write('GET / HTTP/1.0\r\n\r\n');
      expect((await wire.head()).headers['x-request-id']).toMatch(/^[\w.:-]{8,128}$/);
    });
  }

  if (!has('access log')) return;

  test('each request has one access line', async () => {
    using wire = await connect();
    const marks = [token(), token(), token()];
    const lines = () => server().lines.filter((line) => line.event === 'request');
    const workers: (string | undefined)[] = [];
    for (const mark of marks) {
      workers.push((await wire.ask(`POST /echo?${mark}`, { 'x-request-id': mark }, 'body')).headers['x-worker']);
    }
    await wire.ask('GET /nowhere', { 'x-request-id': `${marks[0]}-404` });
    const lost = await server().waitFor('the access line', (line) => line.reqId === `${marks[0]}-404`);
    expect(lost).toMatchObject({ event: 'request', method: 'GET', url: '/nowhere', status: 404 });
    for (const [i, mark] of marks.entries()) {
      const [line = {}, ...more] = lines().filter(({ reqId }) => reqId === mark);
      expect(more).toHaveLength(0);
      expect(line).toMatchObject({ method: 'POST', url: `/echo?${mark}`, status: 200 });
      expect(`${line.pid}:${line.tid}`).toBe(workers[i]);
      expect(line.bytes).toBeGreaterThan(50);
      expect(line.durationMs).toBeGreaterThanOrEqual(0);
      expect(line.time).toBeDefined();
      if (url().startsWith('http')) expect(line.remote).toContain('127.0.0.1');
    }
  });

  test('a request whose client went away has its access line, too', async () => {
    const mark = token();
    using wire = await connect();
    await wire.request(`GET /until-gone?token=${mark}`, { 'x-request-id': mark });
    await server().waitFor('the app to wait', (line) => line.seen === 'waiting' && line.token === mark);
    wire.close();
    await server().waitFor('the access line', (line) => line.event === 'request' && line.reqId === mark);
  });
}
