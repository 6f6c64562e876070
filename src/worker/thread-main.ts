// A worker thread: the channel to its host is a message port of its own. In a pool it is piscina's task file, to which
// piscina gives no task.
import { MessageChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { Activity } from '../activity.js';
import { IncomingConnection } from '../connection/incoming.js';
import { onHangReport } from '../hang/hang-report.js';
import { Heartbeat } from '../hang/heartbeat.js';
import { openLoopJournal } from '../inflight/loop-journal.js';
import { AppRunner } from './app-runner.js';
import { WorkerMain } from './main.js';
import { type FromWorker, type Handed, keyed, type ToWorker } from './messages.js';
import type { ThreadData } from './settings.js';
import { counter } from './thread-counters.js';

const { settings, counters, journal, helloKey }: ThreadData = workerData;
// Not for the app.
for (const name of ['counters', 'journal', 'helloKey']) delete workerData[name];
const { port1: port, port2 } = new MessageChannel();
const identity = { pid: process.pid, tid: threadId };
const activity = new Activity();
const say = (message: FromWorker, sent?: () => void): void => {
  port.postMessage(message);
  sent?.();
};
/** Connections that have been handed to this thread so far. */
let handed = 0;

const main: WorkerMain = new WorkerMain({
  settings,
  threads: undefined,
  identity,
  activity,
  say,
  makeService: async () => {
    if (settings.lifecycle.hangTimeout > 0) {
      activity.add(new Heartbeat(settings.lifecycle.hangTimeout, (dueBy) => counter.setDueBy(counters, dueBy)));
      onHangReport((stack, stillMs) =>
        main.tell({ kind: 'hung', stack, stillMs, requests: main.service?.inFlight() ?? [] }),
      );
    }
    const loopJournal =
      journal && openLoopJournal(journal.region, (fingerprint) => main.tell({ kind: 'suspect-cleared', fingerprint }));
    return new AppRunner({ settings, identity, tell: main.tell, loopJournal, activity });
  },
  onActive: (change) => counter.countAccepted(counters, change),
  reopen: () => ({}), // the process has
  exit: () => process.exit(),
});
port.on('message', (message: ToWorker) => {
  if (message.type === 'connection') void serve(message);
  else main.handle(message);
});
parentPort?.postMessage(keyed(helloKey, port2), [port2]);
const start = (): void => main.start([], undefined);
// Piscina sets up its own port when it has loaded this file; whether the app is at work is seen by what is active after that.
if (settings.once) start();
else setImmediate(start);

/** Never called. Without a function piscina would load this file again, as an ES module. */
export default (): void => {};

/** Takes the connection, unless the host has taken it back by then, and serves it. */
async function serve({ id, fd, requests, isMigrated }: Handed): Promise<void> {
  const index = handed++;
  const connection = IncomingConnection.ofDescriptor(fd as number, { requests, isMigrated });
  await main.serve(connection, () => counter.take(counters, index, index + 1));
  say({ type: 'ended', id });
  main.finish();
}
