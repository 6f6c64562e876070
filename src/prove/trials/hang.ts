// An event loop stands still for good: it is ended and replaced, and only those who were on it lose anything.
import { connect } from 'node:net';
import { ownedBy, ownerOf } from '../../os/connection-owner.js';
import { hasProc } from '../../os/process-tree.js';
import { lure, lureHeader } from '../secret.js';
import { atRest, type Stage, type Trial } from '../trial.js';

/** So long a loop may stand still (milliseconds). */
const hangMs = 2000;
/** By then it stands still, and what it had accepted is known. */
const stuckMs = hangMs / 2;
/** Clients come back to what has replaced it (milliseconds). */
const after = 1000;

export const hang: Trial = {
  name: 'hang',
  summary: `an event loop stands still, and is ended after ${hangMs / 1000} s`,
  settings: ({ given }) => ({
    hangTimeout: `${hangMs}ms`,
    nodeArg: [...((given.nodeArg as readonly string[] | undefined) ?? []), `--require=${lure}`],
  }),
  async run(stage) {
    const { server, facts, pause } = stage;
    const port = await standStill(stage);
    let broken: number;
    if (facts.threaded) {
      await server.heard('hung');
      const { connections } = await server.heard('thread-lost');
      broken = Number(connections) - 1; // one is our own
    } else {
      await pause(stuckMs);
      broken = await brokenWith(stage, port);
      await server.heard('hung');
      await server.heard('worker-died');
    }
    await pause(after);
    await atRest(stage);
    return { times: 1, broken };
  },
};

/** @returns our port of the connection on which it was done */
function standStill({ server, job, secret }: Stage): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: job.host, port: server.port });
    socket.on('error', reject); // later ones find nobody
    socket.on('connect', () => {
      socket.write(`GET ${job.path} HTTP/1.1\r\nhost: localhost\r\n${lureHeader}: ${secret}\r\n\r\n`);
      resolve(socket.localPort as number);
    });
  });
}

/** How many connections are on the process that stands still. */
async function brokenWith({ server, crowd }: Stage, port: number): Promise<number> {
  const connected = (await crowd.connected()).map((one) => one.port);
  if (!hasProc) return connected.length;
  const pids = (await server.workers()).map(({ pid }) => pid);
  const victim = ownerOf(pids, server.port, port);
  return victim === undefined ? 0 : ownedBy(victim, server.port, connected).length;
}
