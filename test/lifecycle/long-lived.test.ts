// What clients of WebSockets and event streams are told when their worker drains. Nothing here waits for
// --graceful-timeout, except where a test says so: it is longer than any test.
import { once } from 'node:events';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { eventually, within } from '../helpers/eventually.ts';
import { closeCode, frame, masked } from '../helpers/frames.ts';
import {
  describePlacements,
  ofConnections,
  type Placement,
  placements,
  testSomePlacements,
  units,
} from '../helpers/placements.ts';
import { fixture, type Server, startServer } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const start = ({ model, accept, args = [] }: Partial<Placement>, more: readonly string[]) =>
  startServer({
    app: fixture('long-lived.cjs'),
    ...(model && { model }),
    ...(accept && { accept }),
    args: [...args, '--probation', '0', ...more],
  });

/** All are closed when the worker looks at them next. */
const soon = ['--graceful-timeout', '20m', '--ws-drain', '1ms'];
const cutSoon = ['--graceful-timeout', '3s'];

/** With one worker, a process or a thread. */
const single = placements.flatMap((placement): Placement[] => {
  const { name, model } = placement;
  if (!units.includes(name)) return [];
  return [{ ...placement, args: model === 'prefork' ? ['--workers', '1'] : ['--threads', '1'] }];
});

/** What one worker sees is alike in a process and a thread. */
const describeSingle = (body: (placement: Placement) => void): void =>
  describePlacements(['prefork dispatch'], body, single);

const restart = frame('close', closeCode(1012));
const upgrade = {
  connection: 'upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};

async function openWebSocket(server: Server): Promise<WebSocket> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`);
  await within('the WebSocket to open', once(socket, 'open'));
  return socket;
}

const closeOf = async (socket: WebSocket): Promise<number> =>
  (await within('the WebSocket to close', once(socket, 'close')))[0];

async function echo(socket: WebSocket): Promise<void> {
  const answer = once(socket, 'message');
  socket.send('hello');
  await within('an echo', answer);
}

/** A WebSocket on which the client says what the app writes. */
async function openFrames(server: Server, protocol = 'websocket', headers = {}): Promise<Wire> {
  const wire = await connect(server.url);
  await wire.request('GET /frames', { ...upgrade, upgrade: protocol, ...headers });
  expect((await wire.head()).status).toBe(101);
  return wire;
}

/** Has the app write the bytes. */
const dictate = (wire: Wire, bytes: Buffer): Promise<void> => wire.write(masked('binary', bytes));

/** Has the app write the bytes, and waits until the client has them. */
async function dictated(wire: Wire, bytes: Buffer): Promise<void> {
  await dictate(wire, bytes);
  expect(await wire.take(bytes.length)).toEqual(bytes);
}

/** A response whose body the client dictates, in chunks of its request. */
async function openEvents(server: Server, headers: Record<string, string> = {}): Promise<Wire> {
  const wire = await connect(server.url);
  await wire.request('POST /events', { ...headers, 'transfer-encoding': 'chunked' });
  expect((await wire.head()).status).toBe(200);
  return wire;
}

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

async function sendEvent(wire: Wire, text: string): Promise<void> {
  await wire.write(chunk(text));
  expect(String(await wire.chunk())).toBe(text);
}

/** Reloads, and waits until the only worker has come to the connections that were there before. */
async function reloadOf(server: Server): Promise<void> {
  // The worker looks at the connections in their order, and closes this one at once.
  const last = await openWebSocket(server);
  server.child.kill('SIGHUP');
  expect(await closeOf(last)).toBe(1012);
}

describePlacements(
  units,
  (placement) => {
    test('a reload closes WebSockets with 1012 and a stop with 1001, and both end event streams', async () => {
      await using server = await start(placement, soon);
      const closed = (what: string) => server.lines.filter((line) => line.closed === what);
      for (const [signal, code] of [
        ['SIGHUP', 1012],
        ['SIGTERM', 1001],
      ] as const) {
        const [ofWs, ofEvents] = [closed('ws').length, closed('events').length];
        const socket = await openWebSocket(server);
        await echo(socket);
        using events = await openEvents(server);
        await sendEvent(events, 'data: 1\n\n');
        server.child.kill(signal);
        expect(await closeOf(socket)).toBe(code);
        expect(await within('the end of the events', events.chunk())).toHaveLength(0);
        // The app has seen the client's Close frame, and that its response is complete.
        await server.waitFor(
          'the app to see it',
          () => closed('ws').length > ofWs && closed('events').length > ofEvents,
        );
        expect(closed('ws').at(-1)).toMatchObject({ code });
        expect(closed('events').at(-1)).toMatchObject({ isComplete: true });
        events.close();
      }
      expect((await within('the server to exit', server.exit)).code).toBe(0);
      expect(server.lines.filter(({ event }) => event === 'request-cut')).toEqual([]);
    });
  },
  ofConnections,
);

testSomePlacements(
  units,
  'clients come back one after another',
  async (placement) => {
    const isPool = placement.model !== 'ppc' && placement.model !== 'tpc';
    const wsDrain = isPool ? '5m' : '1m'; // longer than the test pauses on a slow machine
    await using server = await start(placement, ['--graceful-timeout', '20m', '--ws-drain', wsDrain]);
    const open = new Set(await Promise.all(Array.from({ length: isPool ? 100 : 8 }, () => openWebSocket(server))));
    const codes: number[] = [];
    for (const socket of open) {
      socket.on('close', (code) => {
        codes.push(code);
        open.delete(socket);
      });
    }
    server.child.kill('SIGHUP');
    for (let round = 1; round <= 2; round++) {
      const before = codes.length;
      await eventually('a WebSocket to close', () => codes.length > before);
      const echoes = [...open].map((socket) => {
        const answered = once(socket, 'message');
        socket.send('hello');
        return answered;
      });
      await within('others to answer', Promise.any(echoes));
    }
    expect(codes).toEqual(codes.map(() => 1012));
    for (const socket of open) socket.terminate();
  },
  ofConnections,
);

test.concurrent.each(single)('$name: a WebSocket is told so too where requests may have to wait', async (placement) => {
  await using server = await start(placement, [...soon, '--max-inflight', '10', '--rate-limit', '1000/s']);
  const wire = await openFrames(server);
  const whole = frame('text', Buffer.from('whole'));
  await dictated(wire, whole);
  await dictate(wire, whole.subarray(0, 3));
  expect(await wire.take(3)).toEqual(whole.subarray(0, 3));
  server.child.kill('SIGHUP');
  await server.waitFor('the reload', ({ event }) => event === 'reloaded');
  await dictate(wire, whole.subarray(3));
  expect(await wire.take(whole.length - 3 + restart.length)).toEqual(Buffer.concat([whole.subarray(3), restart]));
  wire.close();
});

describeSingle((placement) => {
  test('no Close frame comes inside a frame of the app, wherever that is', async () => {
    await using server = await start(placement, soon);
    const whole = [5, 300, 0x10000].map((length) => frame('binary', Buffer.alloc(length, 'x')));
    // Inside of each header, and where a payload begins and ends.
    const cuts = whole.flatMap((bytes) => {
      const places = [...Array(Math.min(12, bytes.length - 1)).keys()].map((place) => place + 1);
      return [...places, bytes.length - 1].map((place) => [bytes.subarray(0, place), bytes.subarray(place)] as const);
    });
    const wires = await Promise.all(cuts.map(() => openFrames(server)));
    await Promise.all(cuts.map(([begin], i) => dictated(wires[i] as Wire, begin)));
    await reloadOf(server);
    for (const [i, [, rest]] of cuts.entries()) {
      const wire = wires[i] as Wire;
      const half = Math.floor(rest.length / 2);
      for (const piece of [rest.subarray(0, half), rest.subarray(half)]) await dictate(wire, piece);
      await dictate(wire, frame('text', Buffer.from('nothing may follow a Close frame')));
      await wire.write(masked('close', closeCode(1012)));
      expect(await wire.rest()).toEqual(Buffer.concat([rest, restart]));
    }
  });

  test('a Close frame comes between two fragments of a message', async () => {
    await using server = await start(placement, soon);
    using wire = await openFrames(server);
    await dictated(wire, frame('text', Buffer.from('begun'), false));
    await reloadOf(server);
    expect(await wire.take(restart.length)).toEqual(restart);
    await wire.write(masked('close', closeCode(1012)));
    expect(await wire.rest()).toHaveLength(0);
    await server.waitFor('the app to see it', (line) => line.closed === 'frames' && line.code === 1012);
  });

  test('an app that has sent a Close frame gets no second one', async () => {
    await using server = await start(placement, soon);
    const own = frame('close', closeCode(4000));
    using whole = await openFrames(server);
    await dictated(whole, own);
    using half = await openFrames(server);
    await dictated(half, own.subarray(0, 1));
    await reloadOf(server);
    await dictate(half, own.subarray(1));
    for (const wire of [whole, half]) await wire.write(masked('close', closeCode(4000)));
    expect(await whole.rest()).toHaveLength(0);
    expect(await half.rest()).toEqual(own.subarray(1));
  });

  test('after a stop in the middle of a reload clients are told 1001', async () => {
    await using server = await start(placement, soon);
    const pending = frame('text', Buffer.from('x'));
    const wires = await Promise.all(Array.from({ length: 100 }, () => openFrames(server)));
    for (const wire of wires) await dictated(wire, pending.subarray(0, 1));
    await reloadOf(server);
    server.child.kill('SIGTERM');
    await server.waitFor('the stop', ({ event }) => event === 'stopping');
    const codes = new Set<number>();
    await eventually('the worker to know', async () => {
      const wire = wires.pop();
      if (!wire) throw new Error(`it never did: ${[...codes]}`);
      await dictate(wire, pending.subarray(1));
      const bytes = await wire.take(2 + restart.length);
      const code = bytes.readUInt16BE(4);
      codes.add(code);
      await wire.write(masked('close', closeCode(code)));
      return code === 1001;
    });
    for (const wire of wires) wire.close();
    expect([...codes].every((code) => code === 1012 || code === 1001)).toBe(true);
  });

  test('an event that is incomplete is completed before the response ends', async () => {
    await using server = await start(placement, soon);
    const wires = await Promise.all(['\n', '\r\n', '\r'].map(() => openEvents(server)));
    await Promise.all(wires.map((wire) => sendEvent(wire, 'data: 1\n\ndata: 2')));
    await reloadOf(server);
    for (const [i, end] of ['\n', '\r\n', '\r'].entries()) {
      const wire = wires[i] as Wire;
      await sendEvent(wire, `, continued${end}`);
      await sendEvent(wire, 'id: 2');
      await sendEvent(wire, `${end}${end}`);
      expect(await wire.chunk()).toHaveLength(0);
      wire.close();
    }
  });

  test('an app may write to an event stream that has ended', async () => {
    await using server = await start(placement, soon);
    using events = await openEvents(server);
    await sendEvent(events, 'data: 1\n\n');
    await reloadOf(server);
    expect(await events.chunk()).toHaveLength(0);
    await events.write(chunk('data: too late\n\n'));
    await server.waitFor('the app to see the end', ({ closed }) => closed === 'events');
    expect(server.lines.filter(({ event }) => event === 'worker-died' || event === 'thread-lost')).toEqual([]);
  });

  test('what cannot be told is cut at --graceful-timeout', async () => {
    await using server = await start(placement, [...cutSoon, '--ws-drain', '1ms']);
    using frames = await openFrames(server);
    await dictated(frames, frame('text', Buffer.from('half')).subarray(0, 3));
    using events = await openEvents(server);
    await sendEvent(events, 'data: 1\n\ndata: 2');
    using compressed = await openEvents(server, { 'x-coding': 'br' });
    await sendEvent(compressed, '\n\n');
    using download = await openEvents(server, { 'x-type': 'text/plain' });
    await sendEvent(download, '\n\n');
    using other = await openFrames(server, 'other');
    await dictated(other, frame('text', Buffer.from('a frame?')));
    using past = await openFrames(server, 'websocket', { 'x-past': 'yes' });
    await dictated(past, frame('text', Buffer.from('whole')));
    const wires = [past, frames, events, compressed, download, other];
    await reloadOf(server);
    for (const wire of wires) expect(await wire.rest()).toHaveLength(0);
    await server.waitForMany('the cuts', ({ event }) => event === 'request-cut', wires.length);
  });

  test('--ws-drain 0 cuts everything at --graceful-timeout', async () => {
    await using server = await start(placement, [...cutSoon, '--ws-drain', '0']);
    const socket = await openWebSocket(server);
    using events = await openEvents(server);
    await sendEvent(events, 'data: 1\n\n');
    server.child.kill('SIGHUP');
    expect(await closeOf(socket)).toBe(1006);
    expect(await events.rest()).toHaveLength(0);
    await server.waitForMany('the cuts', ({ event }) => event === 'request-cut', 2);
  });
});

test('a client that does not answer the Close frame is disconnected before --graceful-timeout', async () => {
  await using server = await start({}, ['--graceful-timeout', '12s', '--ws-drain', '1ms']);
  using wire = await openFrames(server);
  server.child.kill('SIGHUP');
  expect(await wire.rest()).toEqual(restart);
  expect(server.lines.filter(({ event }) => event === 'request-cut')).toEqual([]);
});
