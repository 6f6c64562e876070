// Connections that stop being HTTP: WebSocket by the `ws` client, and a raw protocol.
import { once } from 'node:events';
import net from 'node:net';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { within } from '../../helpers/eventually.js';
import { connectOptions } from '../../helpers/wire.js';
import type { Place } from '../target.js';

const rawUpgrade = 'GET /raw HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n';

export function upgrades({ connect, has, url }: Place): void {
  if (!has('upgrades')) {
    test('an upgrade is refused with 501', async () => {
      using wire = await connect();
      await wire.write(rawUpgrade);
      expect((await wire.head()).status).toBe(501);
    });
    return;
  }

  test('a WebSocket echoes texts, binaries, large messages and the closing', async () => {
    const socket = new WebSocket('ws://test/ws', { createConnection: () => net.connect(connectOptions(url())) });
    try {
      await within('the WebSocket to open', once(socket, 'open'));
      for (const message of ['héllo', Buffer.from([0, 255, 1]), 'x'.repeat(200_000)]) {
        const echo = once(socket, 'message');
        socket.send(message);
        const [data, binary] = await within('the echo', echo);
        expect([binary ? data : String(data), binary]).toEqual([message, typeof message !== 'string']);
      }
      const closing = once(socket, 'close');
      socket.close(4001, 'enough');
      expect((await within('the closing', closing))[0]).toBe(4001);
    } finally {
      socket.terminate();
    }
  });

  test('bytes right behind an upgrade reach the app, and those that follow', async () => {
    using wire = await connect();
    await wire.write(`${rawUpgrade}first`);
    expect(await wire.head()).toMatchObject({ status: 101, headers: { upgrade: 'raw' } });
    expect(String(await wire.take(5))).toBe('first');
    for (const word of ['second', 'third']) {
      await wire.write(word);
      expect(String(await wire.take(word.length))).toBe(word);
    }
  });

  test('an upgraded connection may be half closed', async () => {
    using wire = await connect();
    await wire.write(`${rawUpgrade}last`);
    wire.end();
    expect((await wire.head()).status).toBe(101);
    expect(String(await wire.rest())).toBe('last');
  });

  test('an upgrade behind answered requests works', async () => {
    using wire = await connect();
    expect((await wire.ask('GET /')).status).toBe(200);
    await wire.write(`${rawUpgrade}x`);
    expect((await wire.head()).status).toBe(101);
    expect(String(await wire.take(1))).toBe('x');
  });
}
