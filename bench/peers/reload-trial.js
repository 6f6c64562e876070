// One reload of one peer under clients that keep asking, each over one kept-alive connection.
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { processTree } from '../../dist/os/process-tree.js';
import { startClients } from './client-pool.js';
import { launch } from './launch.js';

export const connections = 20;
export const calmMs = 1_000;
/** For so long it is watched at least, and at the most until all its old processes are gone. */
const leastMs = 3_000;
export const mostMs = 15_000;
/** Until each client has had its first answer: `ppc` starts a process for each. */
const settleMs = 10_000;
const pollMs = 20;

/**
 * @param {import('./index.js').Peer} peer one that is installed and has a `reload`
 * @returns `calm` and `counts`, what clients counted in the second before it and from its beginning; `overMs` until the
 * last of the old processes was gone, undefined if some were left
 * @throws Error when it does not start, or its reload command fails
 */
export async function reload(peer, thinkMs, signal) {
  const server = await launch(peer);
  let clients;
  try {
    clients = startClients({ port: Number(new URL(server.url).port), connections, thinkMs });
    // Some may have to wait for others to end: a server may have fewer threads than there are clients.
    await Promise.race([clients.settled, pause(settleMs, undefined, { signal })]);
    await clients.mark();
    await pause(calmMs, undefined, { signal });
    const old = pidsOf(server.pid).filter((pid) => pid !== server.pid);
    const calm = await clients.mark();
    const began = performance.now();
    await perform(peer.reload, server, signal);
    const overMs = await gone(old, server.pid, began, signal);
    await pause(Math.max(0, began + leastMs - performance.now()), undefined, { signal });
    const counts = await clients.end();
    if (counts.asked !== counts.answered + counts.failed) throw new Error(`miscounted: ${JSON.stringify(counts)}`);
    return { calm, counts, overMs };
  } finally {
    clients?.kill();
    await server.stop();
  }
}

async function perform({ signal: name, command }, { pid, folder }, signal) {
  if (name) {
    process.kill(pid, name);
    return;
  }
  const { command: words, env } = command(folder);
  const [program, ...args] = words;
  await promisify(execFile)(program, args, { env: { ...process.env, ...env }, signal, timeout: 2 * mostMs });
}

/** @returns milliseconds since `began`. */
async function gone(old, pid, began, signal) {
  while (performance.now() < began + mostMs) {
    const now = new Set(pidsOf(pid));
    if (!old.some((one) => now.has(one))) return performance.now() - began;
    await pause(pollMs, undefined, { signal });
  }
  return undefined;
}

/** It and all below it: workers of mpserve have sessions of their own. */
function pidsOf(pid) {
  return processTree(pid).map((one) => one.pid);
}
