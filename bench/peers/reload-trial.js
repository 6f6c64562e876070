// A trial: reloads one peer while clients send requests, each over one keep-alive connection.
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { processTree } from '../../dist/os/process-tree.js';
import { startClientPool } from './client-pool.js';
import { launch } from './launch.js';

export const connections = 20;
/** The time under load before the reload, for comparison. */
export const beforeMs = 1_000;
/** The clients continue for at least this long after the reload began. */
const minObservationMs = 3_000;
/** The longest wait for the old processes to exit. */
export const maxObservationMs = 15_000;
/** The longest wait for the first response to each client: `ppc` starts a process for each. */
const readyTimeoutMs = 10_000;
const pollIntervalMs = 20;

/**
 * @param {import('./index.js').Peer} peer an installed peer that has a `reload`
 * @returns `before` and `counts`, the clients' counts in the second before the reload and from its beginning; and
 * `oldProcessesMs`, after which all old processes had exited, undefined if some were left
 * @throws Error if the peer does not start or its reload command fails
 */
export async function reload(peer, thinkMs, signal) {
  const server = await launch(peer);
  let pool;
  try {
    pool = startClientPool({ port: Number(new URL(server.url).port), connections, thinkMs });
    // Not all clients may get a response: a server may have fewer threads than there are clients.
    await Promise.race([pool.ready, pause(readyTimeoutMs, undefined, { signal })]);
    await pool.resetCounts();
    await pause(beforeMs, undefined, { signal });
    const old = pidsOf(server.pid).filter((pid) => pid !== server.pid);
    const before = await pool.resetCounts();
    const began = performance.now();
    await runReload(peer.reload, server, signal);
    const oldProcessesMs = await exitOf(old, server.pid, began, signal);
    await pause(Math.max(0, began + minObservationMs - performance.now()), undefined, { signal });
    const counts = await pool.stop();
    if (counts.sent !== counts.completed + counts.failed)
      throw new Error(`inconsistent counts: ${JSON.stringify(counts)}`);
    return { before, counts, oldProcessesMs };
  } finally {
    pool?.kill();
    await server.stop();
  }
}

async function runReload({ signal: name, command }, { pid, folder }, signal) {
  if (name) {
    process.kill(pid, name);
    return;
  }
  const { command: argv, env } = command(folder);
  const [program, ...args] = argv;
  await promisify(execFile)(program, args, { env: { ...process.env, ...env }, signal, timeout: 2 * maxObservationMs });
}

/** Waits until all `old` processes have exited. @returns milliseconds since `began`, undefined after a timeout */
async function exitOf(old, pid, began, signal) {
  while (performance.now() < began + maxObservationMs) {
    const now = new Set(pidsOf(pid));
    if (!old.some((one) => now.has(one))) return performance.now() - began;
    await pause(pollIntervalMs, undefined, { signal });
  }
  return undefined;
}

/** The process tree of `pid`, and not its session, because mpserve's workers have sessions of their own. */
function pidsOf(pid) {
  return processTree(pid).map((one) => one.pid);
}
