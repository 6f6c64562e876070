// `npm run bench:static`: the throughput of static files, beside other servers of Node, and nginx where it is installed, or where
// NGINX is its path. All run at the same time, and each round loads one after the other, in changing order. A client that discards what it reads
// counts bytes: in a second, and in a second of the server's CPU time, which other load on the machine affects less. Exits 1 if mpserve has less than 0.9 of the throughput of the best server of Node.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { median } from '../dist/bench/summary.js';
import { cpuSeconds } from '../dist/os/process-tree.js';
import { baseline, serving, start } from './server.js';

const rounds = Math.max(3, Number(process.env.ROUNDS) || 5);
const ms = 1500;
const bound = 0.9;
const libraries = ['sirv', '@fastify/static', 'serve-static', 'send', '@fastify/send'];
delete process.env.NODE_EXTRA_CA_CERTS;

const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
const dir = path.join(scratch, 'public');
mkdirSync(dir);
const sizes = { '1 KiB': 1024, '100 KiB': 100 * 1024, '10 MiB': 10 * 1024 ** 2 };
for (const [name, size] of Object.entries(sizes)) writeFileSync(path.join(dir, fileOf(name)), randomBytes(size));

const nginx = process.env.NGINX ?? 'nginx';
const largest = sizes['10 MiB'];
const rangeBytes = sizes['100 KiB'];

/** Ranges of the largest file, which the clients ask for in turn. */
const ranges = {
  'first 100 KiB': [rangeFrom(0)],
  '100 KiB in the middle': [rangeFrom(largest / 2)],
  'last 100 KiB': [`bytes=-${rangeBytes}`],
  '100 KiB at 100 random places': Array.from({ length: 100 }, () =>
    rangeFrom(Math.floor(Math.random() * (largest - rangeBytes))),
  ),
};

const rows = [
  ...Object.keys(sizes).map((name) => ({ name, file: fileOf(name), connections: sizes[name] > 1e6 ? 8 : 32 })),
  ...Object.keys(ranges).map((name) => ({
    name: `${name} of 10 MiB`,
    file: fileOf('10 MiB'),
    connections: 32,
    ranges: ranges[name],
  })),
];

const servers = [];
try {
  servers.push({ name: 'mpserve', ...(await start(serving(dir, '--model', 'prefork', '--workers', '1'))) });
  for (const library of libraries) servers.push({ name: library, ...(await start(baseline('static', library, dir))) });
  const other = await startNginx();
  if (other) servers.push(other);
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds, medians`);
  console.log('MB in a second (MB in a second of CPU time)\n');
  console.log(`| file | ${servers.map(({ name }) => name).join(' | ')} | mpserve / best of Node | |`);
  console.log(`| --- |${' --- |'.repeat(servers.length + 2)}`);
  for (const row of rows) if (!(await measure(row))) process.exitCode = 1;
} finally {
  for (const { stop } of servers) await stop();
  rmSync(scratch, { recursive: true });
}

async function measure({ name, file, connections, ranges }) {
  const values = new Map(servers.map((server) => [server, []]));
  for (const server of servers) await throughput(server, file, connections, ranges, ms / 3);
  for (let round = 0; round < rounds; round++) {
    const first = round % servers.length;
    for (const server of [...servers.slice(first), ...servers.slice(0, first)])
      values.get(server).push(await throughput(server, file, connections, ranges, ms));
  }
  const medians = ['rate', 'perCpu'].map((key) =>
    servers.map((server) => median(values.get(server).map((value) => value[key]))),
  );
  const [ratio, ofCpu] = medians.map(([own, ...others]) => own / Math.max(...others.slice(0, libraries.length)));
  const isMet = ratio >= bound;
  const shown = servers.map((_, i) => medians.map((all) => all[i].toFixed(all[i] < 100 ? 1 : 0)));
  const cells = shown.map(([rate, perCpu]) => `${rate} (${perCpu})`).join(' | ');
  console.log(`| ${name} | ${cells} | ${ratio.toFixed(2)} (${ofCpu.toFixed(2)}) | ${isMet ? 'met' : 'MISSED'} |`);
  return isMet;
}

/** @returns megabytes of whole responses in a second, and in a second of CPU time */
async function throughput({ pid, port }, file, connections, ranges = [undefined], ms) {
  const requests = ranges.map(
    (range) => `GET /${file} HTTP/1.1\r\nhost: localhost\r\n${range ? `range: ${range}\r\n` : ''}\r\n`,
  );
  let bytes = 0;
  const began = performance.now();
  const cpuBefore = cpuSeconds(pid);
  const clients = Array.from({ length: connections }, () => client(port, requests, (size) => (bytes += size)));
  await Promise.all(clients.map(({ connected }) => connected));
  await pause(ms);
  const seconds = (performance.now() - began) / 1000;
  const megabytes = bytes / 1e6;
  const cpu = Math.max(0.01, cpuSeconds(pid) - cpuBefore);
  for (const { close } of clients) close();
  return { rate: megabytes / seconds, perCpu: megabytes / cpu };
}

/** One connection that sends the requests again and again, and reads the lengths of the responses, no more. */
function client(port, requests, onBody) {
  let next = Math.floor(Math.random() * requests.length);
  let left = 0;
  let size = 0;
  let head = '';
  const socket = connect({
    port,
    host: '127.0.0.1',
    // One buffer for all that is read: it is discarded.
    onread: {
      buffer: Buffer.allocUnsafe(256 * 1024),
      callback(length, buffer) {
        for (let at = 0; at < length; ) {
          if (left === 0) {
            const before = head.length;
            head += buffer.toString('latin1', at, Math.min(length, at + 2000));
            const end = head.indexOf('\r\n\r\n');
            if (end < 0 && head.length < 2000) return true; // the rest is to come
            const found = /^HTTP\/1\.1 20[06] [\s\S]*?content-length: (\d+)/i.exec(head);
            if (!found) throw new Error(`not a response with a length: ${head.slice(0, 200)}`);
            at += end + 4 - before;
            head = '';
            size = left = Number(found[1]);
          }
          const taken = Math.min(left, length - at);
          left -= taken;
          at += taken;
          if (left > 0) continue;
          onBody(size);
          send();
        }
        return true;
      },
    },
  });
  const send = () => socket.write(requests[next++ % requests.length]);
  const connected = new Promise((resolve) => socket.once('connect', resolve));
  send();
  return { connected, close: () => socket.destroy() };
}

async function startNginx() {
  if (spawnSync(nginx, ['-v']).error) return undefined;
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const config = path.join(scratch, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; master_process off; worker_processes 1; pid ${scratch}/nginx.pid; error_log ${scratch}/nginx.log;
events {}
http { ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${scratch}/${name};`).join(' ')}
access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on; server { listen 127.0.0.1:${port}; root ${dir}; } }`,
  );
  const child = spawn(nginx, ['-p', scratch, '-c', config], { stdio: 'ignore' });
  const stop = () =>
    new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill();
    });
  for (let i = 0; i < 100; i++) {
    const isUp = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isUp) return { name: 'nginx', pid: child.pid, port, stop };
    await pause(50);
  }
  child.kill();
  return undefined;
}

function rangeFrom(first) {
  return `bytes=${first}-${first + rangeBytes - 1}`;
}

function fileOf(name) {
  return `${name.replace(/\W/g, '')}.bin`;
}
