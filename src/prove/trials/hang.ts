// A blocked event loop: mpserve must end and replace the worker or thread, and only its connections may break.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { ownedBy, ownerOf } from '../../os/connection-owner.js';
import { hasProc } from '../../os/process-tree.js';
import { hangHookFile, secretHeader, secretVariable } from '../hang-secret.js';
import { reconnectMs, type Trial, type TrialContext, untilSettled } from '../trial.js';

/** The server's `--hang-timeout` (milliseconds). */
const hangTimeoutMs = 2000;
/** Between two counts of the connections of the blocked process (milliseconds). */
const countIntervalMs = 100;
/** After it has detected the hang, the server must end the worker or thread within this time (milliseconds). */
const endTimeoutMs = 30_000;

/** Only the server's workers know it. */
const secret = randomBytes(16).toString('hex');

export const hang: Trial = {
  name: 'hang',
  summary: `block an event loop; mpserve must replace the worker or thread after ${hangTimeoutMs / 1000} s`,
  settings: (userSettings) => ({
    hangTimeout: `${hangTimeoutMs}ms`,
    nodeArg: [...((userSettings.nodeArg as readonly string[] | undefined) ?? []), `--require=${hangHookFile}`],
  }),
  env: { [secretVariable]: secret },
  async run(context) {
    const { server, sleep } = context;
    const { port, closed } = await blockEventLoop(context);
    const detected = server.waitForEvent('hung').then(() => true as const);
    detected.catch(() => {}); // awaited below, unless something else fails before
    // On a slow machine one count may come before the event loop is blocked, and the next after the process has ended.
    let onProcess = 0;
    do onProcess = Math.max(onProcess, await connectionsOfBlockedProcess(context, port));
    while (!(await Promise.race([detected, sleep(countIntervalMs)])));
    const hasEnded = await Promise.race([closed, sleep(endTimeoutMs)]);
    if (!hasEnded) throw new Error(`the server did not end the blocked worker within ${endTimeoutMs / 1000} s`);
    await sleep(reconnectMs);
    await untilSettled(context);
    return { times: 1, brokenConnections: brokenConnections(context, onProcess) };
  },
};

interface HangRequest {
  /** The client's port. */
  readonly port: number;
  /** Resolves to true when the connection closes, because the worker or thread has ended. */
  readonly closed: Promise<true>;
}

/** Sends the request that blocks the event loop. */
function blockEventLoop({ server, workload }: TrialContext): Promise<HangRequest> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: server.port });
    const closed = new Promise<true>((resolve) => socket.once('close', () => resolve(true)));
    socket.on('error', reject); // has no effect once the connection is open
    socket.on('connect', () => {
      socket.write(`GET ${workload.path} HTTP/1.1\r\nhost: localhost\r\n${secretHeader}: ${secret}\r\n\r\n`);
      resolve({ port: socket.localPort as number, closed });
    });
    socket.resume();
  });
}

/** For a thread the log states the number of its connections, which includes that of the hang request. */
function brokenConnections({ server, facts }: TrialContext, onProcess: number): number {
  if (!facts.threaded) return onProcess;
  const lost = server.logLines.find(({ event }) => event === 'thread-lost');
  return lost ? Math.max(0, Number(lost.connections) - 1) : 0;
}

/** How many connections of the client pool the blocked process has; without /proc, all of them. */
async function connectionsOfBlockedProcess({ server, clientPool }: TrialContext, port: number): Promise<number> {
  const ports = (await clientPool.call('connections')).map((connection) => connection.port);
  if (!hasProc) return ports.length;
  const pids = (await server.workers()).map(({ pid }) => pid);
  const blocked = ownerOf(pids, server.port, port);
  return blocked === undefined ? 0 : ownedBy(blocked, server.port, ports).length;
}
