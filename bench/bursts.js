// `node bench/bursts.js [ACCEPT ...]` (after `npm run build`): how evenly a burst of keep-alive connections is spread over
// the event loops. The imbalance of a burst is the number of connections of the event loop with the most, divided by the
// mean.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { serving, start } from './server.js';

const app = fileURLToPath(new URL('apps/loop.cjs', import.meta.url));
/** Between two bursts; an acceptor resets its high-water mark after 100 ms (connection/acceptor). */
const pauseMs = 300;

export const setups = [
  { name: 'prefork, 2 workers', loops: 2, args: ['--model', 'prefork', '--workers', '2'] },
  { name: 'prethread, 2 threads', loops: 2, args: ['--model', 'prethread', '--threads', '2'] },
  { name: 'prethread, 4 threads', loops: 4, args: ['--model', 'prethread', '--threads', '4'] },
  { name: 'hybrid 2 × 2', loops: 4, args: ['--model', 'hybrid', '--workers', '2', '--threads', '2'] },
];

/**
 * @param args the server's arguments @param loops the number of event loops that it has with them
 * @returns the imbalance of each burst; 1 is even
 */
export async function measure({ args, loops }, connections, bursts = 20) {
  const server = await start(serving(app, ...args));
  try {
    const imbalances = [];
    for (let burst = 0; burst < bursts; burst++) {
      const counts = new Map();
      for (const loop of await openBurst(server, connections)) counts.set(loop, (counts.get(loop) ?? 0) + 1);
      imbalances.push((Math.max(...counts.values()) * loops) / connections);
      await pause(pauseMs);
    }
    return imbalances;
  } finally {
    await server.stop();
  }
}

/** Opens all connections at once, and closes them when each has a response. @returns the event loop of each connection */
async function openBurst({ port }, connections) {
  const sockets = Array.from({ length: connections }, () => connect(port, '127.0.0.1'));
  const loops = await Promise.all(sockets.map(loopOf));
  const closed = sockets.map((socket) => once(socket, 'close'));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  return loops;
}

/** The response is small enough to arrive in one chunk. */
async function loopOf(socket) {
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [response] = await once(socket, 'data');
  return String(response).split('\r\n\r\n')[1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const modes = process.argv.length > 2 ? process.argv.slice(2) : ['shared', 'dispatch'];
  console.log('| setup | connections | median | worst |\n| --- | --- | --- | --- |');
  for (const mode of modes) {
    for (const setup of setups) {
      for (const connections of [32, 64]) {
        const imbalances = await measure({ ...setup, args: [...setup.args, '--accept', mode] }, connections);
        const values = [median(imbalances), Math.max(...imbalances)].map((value) => value.toFixed(2)).join(' | ');
        console.log(`| ${setup.name}, ${mode} | ${connections} | ${values} |`);
      }
    }
  }
}
