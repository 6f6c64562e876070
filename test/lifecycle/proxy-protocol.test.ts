// --proxy-protocol: who the client is, as the proxy says that has opened the connection.
import { expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.ts';
import { describePlacements, forPlacements, type Placement, units } from '../helpers/placements.ts';
import { Site } from '../helpers/site.ts';
import { connect, isRefused, type Wire } from '../helpers/wire.ts';

const seen = `
module.exports = (req, res) => res.end(req.socket.remoteAddress + ' ' + req.socket.remotePort);
process.once('exit', () => require('node:fs').writeSync(1, '{"event":"left"}\\n'));
`;

const line = 'PROXY TCP4 203.0.113.7 10.0.0.1 41226 443\r\n';
const address = `20010db8${'0'.repeat(23)}7`;
const binary = Buffer.from(
  `0d0a0d0a000d0a515549540a 21 21 0024 ${address} ${address} a10a 01bb`.replaceAll(' ', ''),
  'hex',
);
const local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

function start({ model, accept, args = [] }: Placement, trusted: string, ...more: string[]): Promise<Site> {
  const all = [...args, ...(accept ? ['--accept', accept] : []), '--proxy-protocol', '--trust-proxy', trusted];
  return Site.start(model, [...all, '--access-log', '-', ...more], {}, {}, undefined, seen);
}

/** A connection that has been accepted, with a part of its header. */
async function beginning(url: string): Promise<Wire> {
  const wire = await connect(url);
  await wire.write(line.slice(0, 10));
  await answerOf(url); // those before it have been accepted
  return wire;
}

async function answerOf(url: string): Promise<string> {
  using wire = await connect(url);
  await wire.write(line + request('/'));
  return (await wire.response()).body;
}

async function remoteOf({ server }: Site, url: string): Promise<unknown> {
  return (await server.waitFor('the access line', (one) => one.event === 'request' && one.url === url)).remote;
}

forPlacements((placement) => {
  test('the client is whom the header names, and stays it when the connection migrates', async () => {
    await using site = await start(placement, 'loopback', '--proxy-to-app', '--probation', '0');
    using inOnePiece = await connect(site.server.url);
    await inOnePiece.write(line + request('/line'));
    expect((await inOnePiece.response()).body).toBe('203.0.113.7 41226');
    expect(await remoteOf(site, '/line')).toBe('203.0.113.7');
    using byteByByte = await connect(site.server.url);
    for (const byte of Buffer.concat([binary, Buffer.from(request('/binary'))]))
      await byteByByte.write(Buffer.of(byte));
    expect((await byteByByte.response()).body).toBe('2001:db8::7 41226');
    expect(await remoteOf(site, '/binary')).toBe('2001:db8::7');
    using without = await connect(site.server.url);
    await without.write(request('/'));
    expect((await within('the end', without.rest())).toString()).toBe('');
    expect(await site.server.waitFor('the report', ({ event }) => event === 'proxy-refused')).toMatchObject({
      count: 1,
      peer: '127.0.0.1',
      reason: 'it sent no valid PROXY header',
    });

    const wires: Wire[] = [];
    for (let i = 0; i < 3; i++) {
      const wire = await connect(site.server.url);
      wires.push(wire);
      await wire.write(`PROXY TCP4 203.0.113.${i} 10.0.0.1 ${41_000 + i} 443\r\n`);
    }
    for (let reload = 0; reload < 3; reload++) {
      for (const [i, wire] of wires.entries()) {
        await wire.write(request(`/${reload}-${i}`));
        expect((await wire.response()).body).toBe(`203.0.113.${i} ${41_000 + i}`);
        expect(await remoteOf(site, `/${reload}-${i}`)).toBe(`203.0.113.${i}`);
      }
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    }
    for (const wire of wires) wire.close();
  });

  test('a stop waits for the header of a connection that has been accepted', async () => {
    await using site = await start(placement, 'loopback');
    const { server } = site;
    using wire = await beginning(server.url);
    server.child.kill('SIGTERM');
    // While a thread that accepts drains, its process has the listening socket.
    if (placement.unit === 'thread' && placement.accept === 'shared')
      await server.waitFor('another thread to leave', ({ event }) => event === 'left');
    else await eventually('no client to be accepted', () => isRefused(server.url));
    await wire.write(line.slice(10) + request('/late'));
    expect((await wire.response()).status).toBe(200);
    expect(await within('the end', server.exit)).toMatchObject({ code: 0 });
  });
});

describePlacements(units, (placement) => {
  test('the app sees the proxy, unless it is to see the client', async () => {
    await using site = await start(placement, 'loopback');
    using named = await connect(site.server.url);
    await named.write(line);
    await named.write(request('/named'));
    expect((await named.response()).body).toMatch(/^127\.0\.0\.1 /);
    expect(await remoteOf(site, '/named')).toBe('203.0.113.7');
    using ofProxy = await connect(site.server.url);
    await ofProxy.write(local);
    await ofProxy.write(request('/local'));
    expect((await ofProxy.response()).status).toBe(200);
    expect(await remoteOf(site, '/local')).toBe('127.0.0.1');
  });

  test('a peer that is not trusted is closed, whatever it sends', async () => {
    await using site = await start(placement, '10.0.0.0/8');
    for (let i = 0; i < 5; i++) {
      using wire = await connect(site.server.url);
      expect((await within('the end', wire.rest())).toString()).toBe('');
    }
    await site.server.waitFor('the report', ({ event }) => event === 'proxy-refused');
    const reports = site.server.lines.filter(({ event }) => event === 'proxy-refused');
    const reason = 'it is not one of --trust-proxy';
    expect(reports).toEqual(reports.map(() => expect.objectContaining({ peer: '127.0.0.1', reason })));
    // Each acceptor reports once a minute.
    expect(new Set(reports.map(({ pid, tid }) => `${pid} ${tid}`)).size).toBe(reports.length);
    expect(site.server.lines.filter(({ event }) => event === 'request')).toEqual([]);
    await site.server.stop();
    const counts = site.server.lines.filter(({ event }) => event === 'proxy-refused').map(({ count }) => Number(count));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
  });
});

const accepting: readonly [string, readonly string[]][] = [
  ['prefork', ['--workers', '2']],
  ['hybrid', ['--workers', '2', '--threads', '2', '--accept', 'dispatch']],
];

test.each(accepting)('%s: a worker that is one too many waits for headers, also in a stop', async (model, args) => {
  const app = 'module.exports = (_req, res) => res.end(String(process.pid));';
  const all = [...args, '--proxy-protocol', '--trust-proxy', 'loopback'];
  await using site = await Site.start(model, all, {}, {}, undefined, app);
  const { server } = site;
  const wires = await Promise.all(Array.from({ length: 12 }, () => beginning(server.url)));
  expect(await site.ask('POST', '/scale', '{"workers": "1"}')).toMatchObject({ status: 200 });
  const [stays] = (await site.ask('GET', '/workers')).json as [{ pid: number }];
  await eventually('the other one to accept no more', async () => {
    const pids = await Promise.all(Array.from({ length: 10 }, () => answerOf(server.url)));
    return pids.every((pid) => pid === String(stays.pid));
  });
  const finish = async (wire: Wire): Promise<void> => {
    await wire.write(line.slice(10) + request('/late'));
    expect((await wire.response()).status).toBe(200);
    wire.close();
  };
  await Promise.all(wires.filter((_, i) => i % 2 === 0).map(finish));
  server.child.kill('SIGTERM');
  await eventually('no client to be accepted', () => isRefused(server.url));
  await Promise.all(wires.filter((_, i) => i % 2 === 1).map(finish));
  expect(await within('the end', server.exit)).toMatchObject({ code: 0 });
});

test.each(['prefork', 'prethread'])('%s: sessions that come with late headers in a stop are served', async (model) => {
  const placement = { name: model, model, accept: 'dispatch', unit: 'process', processes: 1 } as const;
  await using site = await start(placement, 'loopback', '--sticky', 'cookie:sid');
  const { server } = site;
  using wire = await beginning(server.url);
  server.child.kill('SIGTERM');
  await eventually('no client to be accepted', () => isRefused(server.url));
  await wire.write(`${line.slice(10)}GET / HTTP/1.1\r\nhost: a\r\ncookie: sid=unknown\r\n\r\n`);
  expect((await wire.response()).status).toBe(200);
  expect(await within('the end', server.exit)).toMatchObject({ code: 0 });
});
