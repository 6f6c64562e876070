// A worker thread: the channel to its host is a message port of its own. In a pool it is piscina's task file, to which
// piscina gives no task.
import { MessageChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { IncomingConnection } from '../connection/incoming.js';
import { onBlockedThread } from '../hang/hang-report.js';
import { WorkerMain } from './main.js';
import { type FromWorker, type Handed, keyed, type ToWorker } from './messages.js';
import type { ThreadData } from './settings.js';
import { acceptedByAll, claimsOn, counter } from './thread-counters.js';
import { allowChdir } from './thread-directory.js';
import { watchThreadLimits } from './thread-limits.js';

const {
  settings,
  tasksAtOnce,
  counters,
  acceptors,
  accepted,
  journal,
  memory,
  cacheMemory,
  slot,
  helloKey,
}: ThreadData = workerData;
// Not for the app.
for (const name of [
  'tasksAtOnce',
  'counters',
  'acceptors',
  'accepted',
  'journal',
  'memory',
  'cacheMemory',
  'slot',
  'helloKey',
])
  delete workerData[name];
const { port1: port, port2 } = new MessageChannel();
const { port1: tasks, port2: tasksOfHost } = tasksAtOnce > 0 ? new MessageChannel() : {};
/** Connections that have been handed to this thread so far. */
let handed = 0;

const main = new WorkerMain({
  settings,
  tid: threadId,
  journal,
  makeService:
    tasks &&
    (async (options) => {
      const { TaskRunner } = await import('./task-runner.js');
      return new TaskRunner(options, {
        port: {
          postMessage: (value, transfer) => tasks.postMessage(value, transfer),
          onMessage: (listener) => void tasks.on('message', listener),
        },
        claims: claimsOn(counters),
        limit: tasksAtOnce,
      });
    }),
  memory: () => memory,
  cacheMemory: () => cacheMemory,
  slot,
  say: (message: FromWorker, sent) => {
    port.postMessage(message);
    sent?.();
  },
  accepted: {
    acceptors,
    get count() {
      return acceptedByAll.count(accepted);
    },
    add: (change) => {
      counter.countAccepted(counters, change);
      acceptedByAll.add(accepted, change);
    },
  },
  onReady: () => {
    const uses = endWatch();
    if (uses.length > 0) main.tell({ event: 'thread-limits', uses });
  },
  beat: (dueBy) => counter.setDueBy(counters, dueBy),
});
onBlockedThread(main);
port.on('message', (message: ToWorker) => {
  if (message.type === 'connection') void serve(message);
  else main.handle(message);
});
const hello = { port: port2, tasks: tasksOfHost };
parentPort?.postMessage(keyed(helloKey, hello), tasksOfHost ? [port2, tasksOfHost] : [port2]);
allowChdir(settings.loading.app, (directory) =>
  counter.awaitMove(counters, () => port.postMessage({ type: 'chdir', directory } satisfies FromWorker)),
);
const endWatch = watchThreadLimits();
const start = (): void => main.start([]);
// Piscina sets up its own port when it has loaded this file; whether the app is at work is seen by what is active after that.
if (settings.once) start();
else setImmediate(start);

/** Never called. Without a function piscina would load this file again, as an ES module. */
export default (): void => {};

/** Takes the connection, unless the host has taken it back by then, and serves it. */
async function serve({ id, fd, facts }: Handed): Promise<void> {
  const index = handed++;
  const connection = new IncomingConnection(fd as number, facts);
  await main.serve(id, connection, () => counter.take(counters, index, index + 1));
}
