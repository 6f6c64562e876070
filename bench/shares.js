// `npm run bench:shares` (after `npm run build`; Linux): that each policy of --balance does what it says, with 10,000 short
// connections on four workers and on four threads; how many workers wake up for a connection with first-idle; and what a
// million clients cost a server with --rate-limit. Exits 1 if a bound is exceeded.
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { memoryOfTree, processTree, wakeUpsOfTree } from '../dist/os/process-tree.js';
import { serving, start } from './server.js';

const app = fileURLToPath(new URL('apps/loop.cjs', import.meta.url));
const connections = 10_000;
const kept = 100;
const addresses = 1_000_000;
const models = [
  ['prefork, 4 workers', ['--model', 'prefork', '--workers', '4']],
  ['prethread, 4 threads', ['--model', 'prethread', '--threads', '4']],
];

delete process.env.NODE_EXTRA_CA_CERTS;
console.log(`Node ${process.version}\n\n| what | measured | at most |\n| --- | --- | --- |`);
for (const [name, args] of models) {
  const policy = (...flags) => serving(app, ...args, '--accept', 'dispatch', '--balance', ...flags);
  await withServer(policy('round-robin'), async ({ port }) => {
    const [most, least] = ends(await shares(port));
    row(`${name}, round-robin: most connections of one / fewest`, most / least, 1);
  });
  await withServer(policy('weighted', '--weights', '3,1,3,1'), async ({ port }) => {
    const counts = (await shares(port)).sort((a, b) => b - a);
    const parts = counts.map((count, i) => Math.abs(count / (connections / (i < 2 ? 8 / 3 : 8)) - 1) * 100);
    row(`${name}, weighted 3,1,3,1: largest difference from the share, %`, Math.max(...parts), 1);
  });
  await withServer(policy('least-connections'), async ({ port }) => {
    const sockets = [];
    const holders = [];
    const short = shares(port);
    for (let i = 0; i < kept; i++) {
      const { socket, by } = await open(port);
      sockets.push(socket);
      holders.push(by);
      await pause(5); // among the short ones
    }
    await short;
    // The shares of the kept ones alone, after the short ones have gone.
    for (const socket of sockets.splice(0, kept / 2)) socket.destroy();
    holders.splice(0, kept / 2);
    await pause(500);
    for (let i = 0; i < kept / 2; i++) {
      const { socket, by } = await open(port);
      sockets.push(socket);
      holders.push(by);
    }
    const [most, least] = ends(countsOf(holders));
    row(`${name}, least-connections: of ${kept} kept ones, most minus fewest`, most - least, 1);
    for (const socket of sockets) socket.destroy();
  });
}

await withServer(
  serving(app, '--model', 'prefork', '--workers', '4', '--accept', 'dispatch', '--balance', 'first-idle'),
  async ({ pid, port }) => {
    const workers = processTree(pid).filter((one) => one.pid !== pid);
    const wakeUps = () => workers.map((worker) => wakeUpsOfTree(worker.pid));
    for (let i = 0; i < 100; i++) await visit(port);
    await pause(2000);
    let woken = 0;
    const times = 500;
    for (let i = 0; i < times; i++) {
      const before = wakeUps();
      await visit(port);
      woken += wakeUps().filter((count, worker) => count > before[worker]).length;
    }
    row('prefork, 4 workers, first-idle: workers that wake up for a connection', woken / times, 1.05);
  },
);

const limiting = ['--rate-limit', '1000000/s', '--trust-proxy', 'loopback'];
await withServer(serving(app, '--model', 'prefork', '--workers', '4', ...limiting), async ({ pid, port }) => {
  const ask = async (amount, address) => {
    let next = 0;
    const setupClient = (client) =>
      client.on('headers', () => client.setHeaders({ 'x-forwarded-for': address(next++) }));
    await autocannon({ url: `http://127.0.0.1:${port}/`, connections: 16, amount, pipelining: 1, setupClient });
  };
  await ask(100_000, () => '192.0.2.1');
  const before = memoryOfTree(pid);
  await ask(addresses, (i) => `10.${(i >> 16) & 0xff}.${(i >> 8) & 0xff}.${i & 0xff}`);
  row(
    `--rate-limit, ${addresses.toLocaleString('en')} addresses: more memory, MB`,
    (memoryOfTree(pid) - before) / 1e6,
    8,
  );
});

function row(what, measured, bound) {
  console.log(`| ${what} | ${measured.toFixed(2)} | ${bound} |`);
  if (measured > bound) process.exitCode = 1;
}

/** @returns how many of the connections each event loop has served */
async function shares(port) {
  const servers = [];
  const job = async (count) => {
    for (let i = 0; i < count; i++) servers.push(await visit(port));
  };
  await Promise.all(Array.from({ length: 10 }, () => job(connections / 10)));
  return countsOf(servers);
}

function countsOf(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()];
}

function ends(counts) {
  return [Math.max(...counts), Math.min(...counts)];
}

/** A connection with one request. @returns the event loop that answered */
function visit(port) {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', agent: false }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (text) => {
        body += text;
      });
      response.once('end', () => resolve(body));
    });
    sent.once('error', reject).end();
  });
}

/** A connection that stays open. */
async function open(port) {
  const socket = connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [answer] = await once(socket, 'data');
  return { socket, by: answer.toString('latin1').split('\r\n\r\n')[1] };
}

async function withServer(command, measure) {
  const server = await start(command);
  try {
    await measure(server);
  } finally {
    await server.stop();
  }
}
