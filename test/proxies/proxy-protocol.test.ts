// HAProxy in front of the server with the PROXY protocol: the log has the address of the client.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findProgram, type Program } from '../helpers/programs.ts';
import { Site } from '../helpers/site.ts';
import { Wire } from '../helpers/wire.ts';
import { listen, Running } from './running.ts';

const reloads = 20;
const haproxy = findProgram(['haproxy'], '-v', 'the tests of the PROXY protocol with HAProxy');
const client = '127.0.0.9';

async function ask(url: string, target: string): Promise<number> {
  const { hostname: host, port } = new URL(url);
  const socket = net.connect({ host, port: Number(port), localAddress: client });
  using wire = new Wire(socket);
  await once(socket, 'connect');
  return (await wire.ask(`GET ${target}`)).status;
}

const args = ['--workers', '2', '--accept', 'dispatch', '--access-log', '-', '--trust-proxy', '127.0.0.1'];

describe.runIf(haproxy)('HAProxy', { tags: 'long' }, () => {
  test.each(['send-proxy', 'send-proxy-v2'])('%s names the client, through reloads', async (option) => {
    await using site = await Site.start('prefork', [...args, '--probation', '0', '--proxy-protocol']);
    const file = path.join(site.folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen app
  bind fd@3
  server app ${new URL(site.server.url).host} ${option}
`,
    );
    await using proxy = await Running.start(haproxy as Program, ['-db', '-f', file], await listen());
    for (let reload = 0; reload <= reloads; reload++) {
      const target = `/${reload}`;
      expect(await ask(proxy.url, target)).toBe(200);
      const line = await site.server.waitFor('the line', ({ event, url }) => event === 'request' && url === target);
      expect(line.remote).toBe(client);
      if (reload < reloads) expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
    }
  });
});
