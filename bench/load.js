// Puts load on a server on this machine: many requests with autocannon, or one connection at a time by hand.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import autocannon from 'autocannon';
import { cpuSeconds, processTree } from '../dist/os/process-tree.js';

const connections = 64;

/**
 * Loads a server for `seconds` over 64 connections; with `oneRequestEach` the server closes each after its answer, with
 * `body` each request is a POST of it.
 * @returns CPU microseconds of the server's process tree for each request that was answered
 */
export async function cpuPerRequest({ pid, port }, seconds, { oneRequestEach = false, body } = {}) {
  const before = cpuSeconds(pid);
  const load = {
    headers: oneRequestEach ? { connection: 'close' } : {},
    ...(body && { method: 'POST', body }),
  };
  const result = await autocannon({ url: `http://127.0.0.1:${port}/`, connections, duration: seconds, ...load });
  if (result.non2xx > 0 || result['2xx'] === 0)
    throw new Error(`answered wrongly: ${JSON.stringify(result.statusCodeStats)}`);
  return ((cpuSeconds(pid) - before) / result['2xx']) * 1e6;
}

/** Sends exactly `amount` requests. */
export async function send({ port }, amount) {
  await autocannon({ url: `http://127.0.0.1:${port}/`, connections: Math.min(connections, amount), amount });
}

/** Opens `count` connections one after the other, `pauseMs` after each. @returns the milliseconds to the first byte of each answer. */
export async function timesToFirstByte({ pid, port }, count, pauseMs = 30) {
  const times = [];
  const resting = processTree(pid).length;
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    await once(socket, 'data');
    times.push(performance.now() - began);
    socket.destroy();
    // The one before must not run beside the one that is measured.
    while (processTree(pid).length > resting) await pause(5);
    await pause(pauseMs);
  }
  return times;
}
