// Loads a server on this machine: with autocannon, or with one connection at a time.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import autocannon from 'autocannon';
import { cpuSeconds, processTree } from '../dist/os/process-tree.js';

const connections = 64;
let paths = 0;
const uniquePaths = { requests: [{ setupRequest: (request) => ({ ...request, path: `/${++paths}` }) }] };

/**
 * Loads a server for `seconds` over 64 connections. With `keepAlive: false` each connection carries one request. With
 * `body` each request is a POST. With `isUnique` each has a path of its own. With `accepted` that is its Accept-Encoding.
 * @returns CPU time of the server's process tree per completed request (microseconds)
 */
export async function cpuPerRequest(
  { pid, port },
  seconds,
  { keepAlive = true, body, isUnique = false, accepted } = {},
) {
  const before = cpuSeconds(pid);
  const load = {
    headers: { ...(!keepAlive && { connection: 'close' }), ...(accepted && { 'accept-encoding': accepted }) },
    ...(body && { method: 'POST', body }),
    ...(isUnique && uniquePaths),
  };
  const result = await autocannon({ url: `http://127.0.0.1:${port}/`, connections, duration: seconds, ...load });
  if (result.non2xx > 0 || result['2xx'] === 0)
    throw new Error(`unexpected responses: ${JSON.stringify(result.statusCodeStats)}`);
  return ((cpuSeconds(pid) - before) / result['2xx']) * 1e6;
}

/** Sends exactly `amount` requests. */
export async function send({ port }, amount, { isUnique = false } = {}) {
  const load = { connections: Math.min(connections, amount), amount, ...(isUnique && uniquePaths) };
  await autocannon({ url: `http://127.0.0.1:${port}/`, ...load });
}

/** Opens `count` connections one after another, `pauseMs` apart. @returns the time to first byte of each (milliseconds) */
export async function timesToFirstByte({ pid, port }, count, pauseMs = 30) {
  const times = [];
  const idleProcesses = processTree(pid).length;
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    await once(socket, 'data');
    times.push(performance.now() - began);
    socket.destroy();
    // The process of this connection must have exited before the next one is measured.
    while (processTree(pid).length > idleProcesses) await pause(5);
    await pause(pauseMs);
  }
  return times;
}
