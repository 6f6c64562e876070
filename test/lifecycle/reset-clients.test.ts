// Clients that reset their connections before the server asks for their addresses: what they have sent is still read.
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { forPlacements, type Placement } from '../helpers/placements.ts';
import { isAlive } from '../helpers/process-tree.ts';
import { Site } from '../helpers/site.ts';
import { connect } from '../helpers/wire.ts';

const header = (client: string) => `PROXY TCP4 ${client} 10.0.0.1 41226 443\r\n`;
const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;

function start({ model, accept, args = [] }: Placement, ...more: string[]): Promise<Site> {
  const all = [...args, ...(accept ? ['--accept', accept] : []), '--trust-proxy', 'loopback', '--access-log', '-'];
  return Site.start(model, [...all, ...more]);
}

/** Sends it on a new connection, and resets that before the server sees it. */
async function sendAndReset({ server }: Site, text: string): Promise<void> {
  process.kill(server.pid, 'SIGSTOP');
  const pids = [...server.tree(), server.pid]; // none of them is another process's before it goes on
  try {
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await eventually('the server to stand still', () => pids.every((pid) => !isAlive(pid) || isStopped(pid)));
    const { socket } = await connect(server.url);
    await new Promise((sent) => socket.write(text, sent));
    const { localPort } = socket;
    const closed = once(socket, 'close');
    socket.resetAndDestroy();
    await closed;
    await eventually('the reset to arrive', () => !isEstablished(localPort));
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

/** For the server's end of a connection: the kernel may deliver the reset a moment later. @param port of the client */
function isEstablished(port = 0): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`:${hex} 01 `).test(readFileSync('/proc/net/tcp', 'utf8'));
}

/** All its threads are. */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  try {
    return readdirSync(tasks).every((tid) => /^State:\s+T/m.test(readFileSync(`${tasks}/${tid}/status`, 'utf8')));
  } catch {
    return false; // a thread has ended meanwhile
  }
}

const accessLine = ({ server }: Site, path: string) =>
  server.waitFor('the access line', ({ event, url }) => event === 'request' && url === path);

forPlacements((placement) => {
  test('what such a client says of proxies does not count', async () => {
    await using site = await start(placement);
    await sendAndReset(site, request('/forged', 'x-forwarded-for: 203.0.113.7\r\n'));
    expect((await accessLine(site, '/forged')).remote).toBe('unknown');
  });

  test('with --proxy-protocol it is not served', async () => {
    await using site = await start(placement, '--proxy-protocol');
    await sendAndReset(site, header('203.0.113.7') + request('/forged'));
    using wire = await connect(site.server.url);
    await wire.write(header('203.0.113.8') + request('/'));
    expect((await wire.response()).status).toBe(200);
    expect((await accessLine(site, '/')).remote).toBe('203.0.113.8');
    await site.server.stop(); // by its end it has served all
    expect(site.server.lines.filter(({ url, event }) => url === '/forged' || event === 'proxy-refused')).toEqual([]);
  });
});

/** A request for /exit ends its worker when there is a file `exit`, and the next worker loads when there is a file `load`. */
const exiting = `
const { existsSync, writeFileSync } = require('node:fs');
const file = (name) => require('node:path').join(__dirname, '..', name);
const word = new Int32Array(new SharedArrayBuffer(4));
const waitFor = (name) => { while (!existsSync(file(name))) Atomics.wait(word, 0, 0, 5); };
if (existsSync(file('exit'))) waitFor('load');
module.exports = (req, res) => {
  if (req.url !== '/exit') return res.end('served');
  writeFileSync(file('begun'), '');
  waitFor('exit');
  process.exit(1);
};
`;

/** How many sockets it has open, also those that have several descriptors. */
function socketsOf(pid: number): number {
  const fds = `/proc/${pid}/fd`;
  return new Set(readdirSync(fds).flatMap((fd) => /^socket:.*/.exec(target(`${fds}/${fd}`)) ?? [])).size;
}

/** Empty once it is closed. */
function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

test('those that wait for a worker hold up no others', async () => {
  const args = ['--threads', '1', '--accept', 'dispatch', '--balance', 'ip-hash', '--hang-timeout', '0'];
  await using site = await Site.start('prethread', args, {}, {}, undefined, exiting);
  const { server } = site;
  const file = (name: string) => path.join(site.folder, name);
  using exits = await connect(server.url);
  await exits.request('GET /exit');
  await eventually('the worker to be blocked', () => existsSync(file('begun')));
  const [host = 0] = server.workers();
  const before = socketsOf(host);
  const leaving = [await connect(server.url), await connect(server.url)];
  using stays = await connect(server.url);
  // It hands them over, as copies of their descriptors, in the turn in which it accepts them.
  await eventually('them to be accepted', () => socketsOf(host) === before + 3);
  writeFileSync(file('exit'), '');
  await server.waitFor('the end of the thread', ({ event }) => event === 'thread-lost');
  await Promise.all(leaving.map(({ socket }) => once(socket.resetAndDestroy(), 'close')));
  writeFileSync(file('load'), '');
  expect((await stays.ask('GET /')).body).toBe('served');
  using next = await connect(server.url);
  expect((await next.ask('GET /')).body).toBe('served');
  await server.stop();
  expect(server.lines.filter(({ event }) => event === 'connection-lost')).toEqual([]);
});
