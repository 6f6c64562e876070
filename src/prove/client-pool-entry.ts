// The crowd of clients: a process of its own that is told over IPC when to begin, to count and to finish.
import { setTimeout as pause } from 'node:timers/promises';
import { act } from '../control/client.js';
import { Client } from './client.js';
import type { Habit, Job, Message, Order } from './messages.js';
import { Tally } from './tally.js';

/** How often a server is told to stop, and with which pauses (milliseconds). */
const mostTold = 40;
const tellEvery = 250;

const tally = new Tally();
let clients: readonly Client[] = [];
let control: string | undefined;
let running: Promise<unknown> = Promise.resolve();

process.on('message', (order: Order) => void obey(order));
process.once('disconnect', () => void leave()); // whoever wanted it is gone
process.on('SIGINT', () => {}); // Ctrl-C is for the parent, which ends this process

async function obey(order: Order): Promise<void> {
  switch (order.order) {
    case 'begin':
      await begin(order.job);
      return tell({ told: 'ready' });
    case 'count':
      return tell({ told: 'counted', count: tally.take() });
    case 'look':
      return tell({ told: 'connected', connected: clients.flatMap(({ connected }) => connected) });
    case 'finish':
      for (const client of clients) client.stop();
      await running;
      process.send?.({ told: 'counted', count: tally.take() } satisfies Message, () => process.exit(0));
  }
}

/** Settles when something has become of the first request of each client. */
async function begin(job: Job): Promise<void> {
  control = job.control;
  const habits = Object.entries(job.clients) as [Habit, number][];
  clients = habits.flatMap(([habit, count]) => Array.from({ length: count }, () => new Client(habit, job, tally)));
  const runs: Promise<void>[] = [];
  const begun = clients.map((client) => new Promise<void>((onBegun) => void runs.push(client.run(() => onBegun()))));
  running = Promise.all(runs);
  await Promise.all(begun);
}

/** The server may be in the midst of an upgrade, and refuse to be stopped, so it is told until nobody hears it any more. */
async function leave(): Promise<void> {
  for (let [told, unheard] = [0, 0]; control && told < mostTold && unheard < 3; told++) {
    unheard = await act(control, 'stop', { now: true }, () => {}).then(
      () => 0,
      () => unheard + 1,
    );
    await pause(tellEvery);
  }
  process.exit(1);
}

function tell(message: Message): void {
  process.send?.(message);
}
