// HAProxy and nginx in front of the server, where there are any: the log has the address of the client.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { descriptorOf } from '../../src/os/node-socket.ts';
import { eventually } from '../helpers/eventually.ts';
import { findProgram, type Program } from '../helpers/programs.ts';
import { Site } from '../helpers/site.ts';
import { connect, Wire } from '../helpers/wire.ts';

const reloads = 20;
const haproxy = findProgram(['haproxy'], '-v', 'the tests with HAProxy in front');
const nginx = findProgram(['nginx'], '-v', 'the tests with nginx in front');

const proxies: ChildProcess[] = [];
afterEach(async () => {
  for (const proxy of proxies.splice(0)) {
    proxy.kill('SIGTERM');
    if (proxy.exitCode === null && proxy.signalCode === null) await once(proxy, 'exit');
  }
});

/** @param argsFor gets the port that the proxy listens on, whose socket it inherits as descriptor 3. @returns its URL */
async function startProxy(
  program: Program | undefined,
  argsFor: (port: number) => readonly string[],
  variables: NodeJS.ProcessEnv = {},
): Promise<string> {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as net.AddressInfo;
  const fd = descriptorOf(listener as unknown as net.Socket) as number;
  const { command, env } = program as Program;
  const proxy = spawn(command, argsFor(port), {
    stdio: ['ignore', 'ignore', 'ignore', fd],
    env: { ...env, ...variables },
  });
  proxies.push(proxy);
  listener.close();
  return `http://127.0.0.1:${port}`;
}

/** The client's address is one of its own: 127.0.0.9. */
async function ask(url: string, target: string): Promise<number> {
  const { hostname: host, port } = new URL(url);
  const socket = net.connect({ host, port: Number(port), localAddress: '127.0.0.9' });
  using wire = new Wire(socket);
  await once(socket, 'connect');
  return (await wire.ask(`GET ${target}`)).status;
}

async function logsTheClient(site: Site, url: string): Promise<void> {
  for (let reload = 0; reload <= reloads; reload++) {
    const target = `/${reload}`;
    expect(await ask(url, target)).toBe(200);
    const line = await site.server.waitFor('the access line', (one) => one.event === 'request' && one.url === target);
    expect(line.remote).toBe('127.0.0.9');
    if (reload < reloads) expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  }
}

const args = ['--workers', '2', '--accept', 'dispatch', '--access-log', '-', '--trust-proxy', '127.0.0.1'];
const quick = ['--probation', '0'];

describe.runIf(haproxy)('HAProxy', { tags: 'long' }, () => {
  test.each(['send-proxy', 'send-proxy-v2'])('%s names the client, through reloads', async (option) => {
    await using site = await Site.start('prefork', [...args, ...quick, '--proxy-protocol']);
    const file = path.join(site.folder, 'haproxy.cfg');
    const url = await startProxy(haproxy, () => {
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
      return ['-db', '-f', file];
    });
    await logsTheClient(site, url);
  });
});

describe.runIf(nginx)('nginx', { tags: 'long' }, () => {
  const configuration = (folder: string, block: string) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events {}
${block}
`;

  test('names the client in X-Forwarded-For, through reloads', async () => {
    await using site = await Site.start('prefork', [...args, ...quick]);
    const file = path.join(site.folder, 'nginx.conf');
    mkdirSync(path.join(site.folder, 'logs'));
    const argsFor = (port: number) => {
      const { host } = new URL(site.server.url);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      const paths = temporary.map((name) => `${name}_temp_path ${site.folder}/${name};`).join('\n');
      const proxy = `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_pass http://${host};`;
      const block = `http { access_log off; ${paths} server { listen 127.0.0.1:${port}; location / { ${proxy} } } }`;
      writeFileSync(file, configuration(site.folder, block));
      return ['-p', site.folder, '-c', file];
    };
    const url = await startProxy(nginx, argsFor, { NGINX: '3;' });
    await eventually('nginx to answer', async () => {
      const wire = await connect(url);
      wire.close();
      return true;
    });
    await logsTheClient(site, url);
  });
});
