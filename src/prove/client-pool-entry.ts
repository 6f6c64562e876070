// The client pool's process: runs all clients, and takes commands from the prover over IPC.
import { setTimeout as sleep } from 'node:timers/promises';
import { act } from '../control/client.js';
import { Client } from './client.js';
import type { ClientStats, ClientType, Workload } from './messages.js';
import { Tally } from './tally.js';

/** How often, and at which interval (milliseconds), the pool asks a server to stop after the prover has died. */
const maxStopRequests = 40;
const stopIntervalMs = 250;
/** After this many failed requests in a row the server is taken to have exited. */
const maxFailedStopRequests = 3;

const tally = new Tally();
let clients: readonly Client[] = [];
let controlSocket: string | undefined;
let running: Promise<unknown> = Promise.resolve();

/** The commands of the prover, each answered with what it returns. */
const commands = {
  /** Settles when the first request of each client has been answered or lost. */
  async start(workload: Workload): Promise<void> {
    controlSocket = workload.controlSocket;
    const types = Object.entries(workload.clients) as [ClientType, number][];
    clients = types.flatMap(([type, count]) => Array.from({ length: count }, () => new Client(type, workload, tally)));
    const runs: Promise<void>[] = [];
    const started = clients.map(
      (client) => new Promise<void>((onStarted) => void runs.push(client.run(() => onStarted()))),
    );
    running = Promise.all(runs);
    await Promise.all(started);
  },
  /** The statistics since the last call. */
  stats: () => tally.take(),
  /** All until now, in short; `stats` still returns it. */
  counts: () => tally.counts,
  connections: () => clients.flatMap(({ connections }) => connections),
  /** Stops the clients, and waits for the requests in flight. Returns the statistics since the last call of `stats`. */
  async finish(): Promise<ClientStats> {
    for (const client of clients) client.stop();
    await running;
    return tally.take();
  },
};

export type Commands = typeof commands;

process.on('message', ([name, argument]: readonly [keyof Commands, Workload]) => void answer(name, argument));
process.once('disconnect', () => void stopServer()); // the prover died
process.on('SIGINT', () => {}); // the prover handles Ctrl-C and ends this process

async function answer(name: keyof Commands, argument: Workload): Promise<void> {
  process.send?.((await commands[name](argument)) ?? null);
}

/** Repeats the request, because a server refuses to stop during an upgrade. */
async function stopServer(): Promise<void> {
  for (let [sent, failed] = [0, 0]; controlSocket && sent < maxStopRequests && failed < maxFailedStopRequests; sent++) {
    failed = await act(controlSocket, 'stop', { now: true }, () => {}).then(
      () => 0,
      () => failed + 1,
    );
    await sleep(stopIntervalMs);
  }
  process.exit(1);
}
