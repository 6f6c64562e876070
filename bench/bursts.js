// `node bench/bursts.js [ACCEPT ...]` (after `npm run build`): how evenly a burst of connections that are kept is
// spread over the event loops. The figure of a burst is the number of connections of the loop that has most, divided
// by a fair share.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';
import { serving, start } from './server.js';

const app = fileURLToPath(new URL('apps/loop.cjs', import.meta.url));
/** An acceptor forgets its high-water mark after 100 ms (os/acceptor). */
const restMs = 300;

export const shapes = [
  { name: 'prefork, 2 workers', loops: 2, args: ['--model', 'prefork', '--workers', '2'] },
  { name: 'prethread, 2 threads', loops: 2, args: ['--model', 'prethread', '--threads', '2'] },
  { name: 'prethread, 4 threads', loops: 4, args: ['--model', 'prethread', '--threads', '4'] },
  { name: 'hybrid 2 × 2', loops: 4, args: ['--model', 'hybrid', '--workers', '2', '--threads', '2'] },
];

/**
 * @param args arguments of the server @param loops event loops that it has with them
 * @returns the figure of each burst; 1 is a fair share
 */
export async function measure({ args, loops }, connections, bursts = 20) {
  const server = await start(serving(app, ...args));
  try {
    const figures = [];
    for (let burst = 0; burst < bursts; burst++) {
      const counts = new Map();
      for (const loop of await openBurst(server, connections)) counts.set(loop, (counts.get(loop) ?? 0) + 1);
      figures.push((Math.max(...counts.values()) * loops) / connections);
      await pause(restMs);
    }
    return figures;
  } finally {
    await server.stop();
  }
}

/** Opens all at once, and closes them when each has its answer. @returns which loop has answered, of each connection */
async function openBurst({ port }, connections) {
  const sockets = Array.from({ length: connections }, () => connect(port, '127.0.0.1'));
  const loops = await Promise.all(sockets.map(loopOf));
  const closed = sockets.map((socket) => once(socket, 'close'));
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  return loops;
}

/** The answer is small enough to come in one piece. */
async function loopOf(socket) {
  socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [answer] = await once(socket, 'data');
  return String(answer).split('\r\n\r\n')[1];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const modes = process.argv.length > 2 ? process.argv.slice(2) : ['shared', 'dispatch'];
  console.log('| what | connections | median | worst |\n| --- | --- | --- | --- |');
  for (const mode of modes) {
    for (const shape of shapes) {
      for (const connections of [32, 64]) {
        const figures = await measure({ ...shape, args: [...shape.args, '--accept', mode] }, connections);
        const words = [median(figures), Math.max(...figures)].map((figure) => figure.toFixed(2)).join(' | ');
        console.log(`| ${shape.name}, ${mode} | ${connections} | ${words} |`);
      }
    }
  }
}
