// An event loop stands still for good: it is ended and replaced, and only those who were on it lose anything.
import { connect } from 'node:net';
import { ownedBy, ownerOf } from '../../os/connection-owner.js';
import { hasProc } from '../../os/process-tree.js';
import { lure, lureHeader } from '../hang-secret.js';
import { atRest, type Stage, type Trial } from '../trial.js';

/** So long a loop may stand still (milliseconds). */
const hangMs = 2000;
/** Between two counts of the connections on the hung process, until it is ended (milliseconds). */
const lookEvery = 100;
/** Once it is found, it is ended in this time (milliseconds). */
const endMs = 30_000;
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
    const { server, pause } = stage;
    const { port, closed } = await standStill(stage);
    const isFound = server.heard('hung').then(() => true as const);
    isFound.catch(() => {}); // it is awaited below, if nothing else fails before
    // On a slow machine one count may come before the process hangs, and the next after it has been ended.
    let onProcess = 0;
    do onProcess = Math.max(onProcess, await brokenWith(stage, port));
    while (!(await Promise.race([isFound, pause(lookEvery)])));
    const isEnded = await Promise.race([closed, pause(endMs)]);
    if (!isEnded) throw new Error(`what stood still has not been ended within ${endMs / 1000} s`);
    await pause(after);
    await atRest(stage);
    return { times: 1, broken: brokenOf(stage, onProcess) };
  },
};

interface Stuck {
  /** Of our connection. */
  readonly port: number;
  /** Resolves to true when it is closed: who had it is no more. */
  readonly closed: Promise<true>;
}

function standStill({ server, job, secret }: Stage): Promise<Stuck> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: job.host, port: server.port });
    const closed = new Promise<true>((resolve) => socket.once('close', () => resolve(true)));
    socket.on('error', reject); // of interest only before there is a connection
    socket.on('connect', () => {
      socket.write(`GET ${job.path} HTTP/1.1\r\nhost: localhost\r\n${lureHeader}: ${secret}\r\n\r\n`);
      resolve({ port: socket.localPort as number, closed });
    });
    socket.resume();
  });
}

/** Of a thread the log says how many connections it had, ours among them; one that serves a single one has no others. */
function brokenOf({ server, facts }: Stage, onProcess: number): number {
  if (!facts.threaded) return onProcess;
  const lost = server.lines.find(({ event }) => event === 'thread-lost');
  return lost ? Math.max(0, Number(lost.connections) - 1) : 0;
}

/** How many connections are on the process that stands still. */
async function brokenWith({ server, crowd }: Stage, port: number): Promise<number> {
  const connected = (await crowd.connected()).map((one) => one.port);
  if (!hasProc) return connected.length;
  const pids = (await server.workers()).map(({ pid }) => pid);
  const victim = ownerOf(pids, server.port, port);
  return victim === undefined ? 0 : ownedBy(victim, server.port, connected).length;
}
