// To the app, a captured server behaves like a server that listens.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Capture, captureListen } from '../../src/app/capture.ts';

const address = { address: '192.0.2.1', family: 'IPv4', port: 8080 };
let capture: Capture;
beforeEach(() => {
  capture = captureListen([address, '/run/second.sock']);
});
afterEach(() => capture.restore());

test.each<[string, unknown[]]>([
  ['nothing', []],
  ['a port', [3000]],
  ['a port as text', ['3000']],
  ['a port and a host', [3000, 'localhost']],
  ['a port, a host and a backlog', [3000, '::1', 10]],
  ['options', [{ port: 3000, host: '127.0.0.1' }]],
  ['a path', ['/tmp/mpserve-not-made.sock']],
  ['an fd', [{ fd: 99 }]],
])('listen() with %s calls back in a later tick and does not bind', async (_, args) => {
  const server = http.createServer();
  const called = new Promise<void>((resolve) => {
    const listen = server.listen as (...args: unknown[]) => http.Server;
    let returned = false;
    const result = listen.call(server, ...args, () => {
      assert(returned, 'the callback came before listen() returned');
      resolve();
    });
    returned = true;
    expect(result).toBe(server);
  });
  expect(server.listening).toBe(true);
  await called;
  expect(server.address()).toEqual(address);
  expect(await capture.listening).toBe(server);
  expect(capture.server).toBe(server);
});

test('capture.listening resolves after all listening listeners of the app have run', async () => {
  const server = http.createServer();
  let ran = false;
  server.listen(3000);
  server.on('listening', () => {
    ran = true;
  });
  await capture.listening;
  expect(ran).toBe(true);
});

describe('close()', () => {
  test('emits close, calls back, and clears the address', async () => {
    const server = http.createServer().listen(3000);
    await once(server, 'listening');
    const closed = once(server, 'close');
    const error = await new Promise((resolve) => server.close(resolve));
    await closed;
    expect(error).toBeUndefined();
    expect(server.listening).toBe(false);
    expect(server.address()).toBeNull();
  });

  test('a second time is an error, as in Node', async () => {
    const server = http.createServer().listen(3000);
    server.close();
    const error = await new Promise((resolve) => server.close(resolve));
    expect(error).toMatchObject({ code: 'ERR_SERVER_NOT_RUNNING' });
  });

  test('before the next tick suppresses the listening event', async () => {
    const server = http.createServer().listen(3000, () => assert.fail('it listened'));
    server.close();
    await once(server, 'close');
  });

  test('is called when the abort signal fires', async () => {
    const stop = new AbortController();
    const server = http.createServer().listen({ port: 3000, signal: stop.signal });
    await once(server, 'listening');
    stop.abort();
    await once(server, 'close');
  });
});

test('a captured server can be closed and listen again', async () => {
  const server = http.createServer().listen(3000);
  expect(() => server.listen(3000)).toThrow(expect.objectContaining({ code: 'ERR_SERVER_ALREADY_LISTEN' }));
  server.close();
  await once(server, 'close');
  server.listen(3000);
  await once(server, 'listening');
  expect(server.address()).toEqual(address);
});

test('ref, unref and getConnections work', async () => {
  const server = http.createServer().listen(3000);
  expect(server.unref().ref()).toBe(server);
  expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
});

test('a second server of the same app is captured as well', async () => {
  const listener = (): void => {};
  http.createServer(listener).listen(3000, '127.0.0.1');
  const second = http.createServer(listener).listen(3000, '::1');
  await once(second, 'listening');
  expect(second.address()).toEqual(address);
  expect(capture.server).not.toBe(second);
});

test('a server of another app that cannot share its socket is left to Node', async () => {
  http.createServer(() => {}).listen(3000);
  const other = http.createServer(() => {}).listen(0, '127.0.0.1');
  try {
    await once(other, 'listening');
    expect(other.address()).not.toEqual(address);
  } finally {
    other.close();
  }
});

describe('if the app is exported', () => {
  const exported = (): void => {};
  beforeEach(() => capture.useExport(exported));

  test('a server with the same listener that listens later is captured', async () => {
    const server = http.createServer(exported).listen(3000);
    await once(server, 'listening');
    expect(server.address()).toEqual(address);
  });

  test('any other server that listens on a port of mpserve is captured with a warning', async () => {
    const warned = once(process, 'warning');
    const server = http.createServer().listen(8080);
    expect(String((await warned)[0])).toContain('does not open its own server on port 8080');
    expect(server.address()).toEqual(address);
  });

  test('a server on port 0 listens', async () => {
    const server = http.createServer().listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      expect(server.address()).not.toEqual(address);
    } finally {
      server.close();
    }
  });
});

test('a server that is not an HTTP server listens', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    expect(server.address()).not.toEqual(address);
    expect(capture.server).toBeUndefined();
    expect(capture.uncaptured).toBeUndefined();
  } finally {
    server.close();
  }
});

test('after restore() servers listen again', async () => {
  capture.restore();
  const server = http.createServer().listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    expect(server.address()).toMatchObject({ address: '127.0.0.1' });
  } finally {
    server.close();
  }
});
