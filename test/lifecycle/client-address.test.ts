// Who the client of a request is in the access log, behind proxies.
import path from 'node:path';
import { expect, test } from 'vitest';
import { describePlacements, units } from '../helpers/placements.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const said = { 'x-forwarded-for': '8.8.8.8, 203.0.113.7:41234, 10.1.2.3' };

describePlacements(units, ({ model, accept, args: size = [] }) => {
  const args = [...size, ...(accept ? ['--accept', accept] : []), '--access-log', '-'];

  test('is whom a trusted proxy names', async () => {
    await using site = await Site.start(model, [...args, '--trust-proxy', 'loopback,10.0.0.0/8']);
    const remoteOf = async (mark: string, headers: Readonly<Record<string, string>>): Promise<unknown> => {
      using wire = await connect(site.server.url);
      await wire.ask(`GET /${mark}`, headers);
      return (await site.server.waitFor('the access line', ({ url }) => url === `/${mark}`)).remote;
    };
    expect(await remoteOf('named', said)).toBe('203.0.113.7');
    expect(await remoteOf('forwarded', { forwarded: 'for="[2001:db8::7]:80", for=10.0.0.9' })).toBe('2001:db8::7');
    expect(await remoteOf('forged', { 'x-forwarded-for': '203.0.113.7", "status": 500, "x": "' })).toBe('127.0.0.1');
    expect(await remoteOf('plain', {})).toBe('127.0.0.1');
  });

  test('is the peer where that is not trusted', async () => {
    await using site = await Site.start(model, [...args, '--trust-proxy', '10.0.0.0/8']);
    using wire = await connect(site.server.url);
    await wire.ask('GET /', said);
    const { remote } = await site.server.waitFor('the access line', ({ event }) => event === 'request');
    expect(remote).toBe('127.0.0.1');
  });

  test('is whom a proxy on this machine names over a Unix socket, or unix', async () => {
    await using site = await Site.start(model, [...args, '--bind', 'unix:SOCKET', '--trust-proxy', 'loopback']);
    using wire = await connect(`unix:${path.join(site.folder, 'app')}`);
    const remotes: unknown[] = [];
    for (const [target, headers] of [
      ['/named', { 'x-forwarded-for': '203.0.113.7' }],
      ['/plain', {}],
    ] as const) {
      await wire.ask(`GET ${target}`, headers);
      remotes.push((await site.server.waitFor('the access line', ({ url }) => url === target)).remote);
    }
    expect(remotes).toEqual(['203.0.113.7', 'unix']);
  });
});
