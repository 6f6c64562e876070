// The client pool's process: runs all clients, and takes commands from the prover over IPC.
import { setTimeout as sleep } from 'node:timers/promises';
import { act } from '../control/client.js';
import { Client } from './client.js';
import type { ClientStats, ClientType, OpenConnection, PoolCommand, Workload } from './messages.js';
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

process.on('message', (command: PoolCommand) => void answer(command).then((reply) => process.send?.(reply)));
process.once('disconnect', () => void stopServer()); // the prover died
process.on('SIGINT', () => {}); // the prover handles Ctrl-C and ends this process

async function answer(command: PoolCommand): Promise<string | ClientStats | readonly OpenConnection[]> {
  switch (command.command) {
    case 'start':
      await start(command.workload);
      return 'started';
    case 'stats':
      return tally.take();
    case 'connections':
      return clients.flatMap(({ connections }) => connections);
    case 'finish':
      for (const client of clients) client.stop();
      await running;
      return tally.take();
  }
}

/** Settles when the first request of each client has been answered or lost. */
async function start(workload: Workload): Promise<void> {
  controlSocket = workload.controlSocket;
  const types = Object.entries(workload.clients) as [ClientType, number][];
  clients = types.flatMap(([type, count]) => Array.from({ length: count }, () => new Client(type, workload, tally)));
  const runs: Promise<void>[] = [];
  const started = clients.map(
    (client) => new Promise<void>((onStarted) => void runs.push(client.run(() => onStarted()))),
  );
  running = Promise.all(runs);
  await Promise.all(started);
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
