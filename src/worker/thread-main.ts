// The inside of a thread: loads the app and runs connections inline, like a process of its own. In a pool it is
// piscina's task file, and a task is a connection; alone it serves the one connection it was started for.
import { MessageChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { Activity } from '../activity.js';
import { now, until, within } from '../clock.js';
import { Acceptor } from '../connection/acceptor.js';
import { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import { errorRecord } from '../events.js';
import { openDeck } from '../flight/deck.js';
import { nothingWatched } from '../flight/watchlist.js';
import { Heartbeat } from '../hang/heartbeat.js';
import { confessing } from '../hang/stack-capture.js';
import type { MigrationChannel } from '../migration/channel.js';
import { lookEvery } from '../upkeep/scaler.js';
import { Inline } from './app-runner.js';
import type { Leave } from './close-app.js';
import type { Tell } from './service.js';
import {
  type FromThread,
  type Handed,
  type Hello,
  nobody,
  slot,
  type ThreadData,
  type ToThread,
} from './thread-messages.js';

/** Served requests are reported this often while there are any (milliseconds). */
const reportEvery = 1000;
/** What a thread that has served its one connection leaves to the app to close (milliseconds). */
const farewellMs = 5000;

const { settings, only, helloKey = '' }: ThreadData = workerData;
delete (workerData as ThreadData).helloKey;
const { port1: port, port2 } = new MessageChannel();
const identity = { pid: process.pid, tid: threadId };
const say = (message: FromThread): void => port.postMessage(message);
const tell: Tell = (event) => say({ type: 'event', event: { ...identity, ...event } });

const activity = new Activity();
let executor: Inline | undefined;
/** The same, before it can serve. */
let starting: Inline | undefined;
let watched = nothingWatched;
/** The most connections at the same time. */
let share = 1;
let acceptor: Acceptor | undefined;
let taken: Int32Array | undefined;
/** Connections that were handed to this thread so far. */
let handed = 0;
let reported = 0;
let draining = false;
let loading: Promise<void> = Promise.resolve();

/** A descriptor that was dup'ed for this thread and now belongs to it. */
const serve = ({ fd, ...facts }: Handed): Promise<void> => {
  if (fd === nobody.fd) return Promise.resolve();
  if (!take()) return Promise.resolve();
  return executor?.run(IncomingConnection.ofDescriptor(fd, facts)) ?? Promise.resolve();
};

/** False if whoever handed it over has lost patience and given it to somebody else: then it is not ours. */
function take(): boolean {
  const place = handed++;
  return !taken || Atomics.compareExchange(taken, slot.taken, place, place + 1) === place;
}

/** For piscina: settles when the connection has ended. */
export default serve;

const handlers: { readonly [T in ToThread['type']]: (message: Extract<ToThread, { type: T }>) => void } = {
  load: (message) => {
    loading = load(message);
  },
  // Without an app it is not taken, and whoever gave it sees to it.
  serve: ({ handed }) => void loading.then(() => executor && serveOnly(handed)),
  drain: ({ ms, carries }) => void drain(ms, 'told', carries),
  stay: () => executor?.stay(),
  share: ({ part }) => executor?.share(part),
  'idle?': () => say({ type: 'idle', ms: executor?.idleFor() ?? -1 }),
  shed: () => executor?.shed(),
  accept: ({ listen, migrationChannel }) => accept(listen, migrationChannel),
  beware: (message) => {
    watched = message.watched;
    starting?.beware(watched);
  },
};
port.on('message', (message: ToThread) => handlers[message.type](message as never));
process.on('uncaughtExceptionMonitor', (error) => tell({ event: 'app-crashed', err: errorRecord(error) }));
let reporting: NodeJS.Timeout | undefined;
activity.add({
  start: () => {
    reporting = setInterval(report, reportEvery).unref();
  },
  stop: () => {
    clearInterval(reporting);
    report();
  },
});
if (settings.measure) setInterval(reportLoad, lookEvery).unref();
parentPort?.postMessage({ mpserve: helloKey, threadId, port: port2 } satisfies Hello, [port2]);
if (only) loading = load({ ...only, type: 'load', maxConnections: 1, warmsUp: settings.warmsUp });

async function load(message: Extract<ToThread, { type: 'load' }>): Promise<void> {
  const { maxConnections, warmsUp, taken: counter, place } = message;
  taken = counter;
  if (settings.hangTimeout > 0) {
    activity.add(new Heartbeat(settings.hangTimeout, (dueBy) => Atomics.store(counter, slot.dueBy, dueBy)));
    confessing((stack, stillMs) => tell({ event: 'hung', stack, stillMs, requests: executor?.inFlight() ?? [] }));
  }
  const deck = settings.flights && openDeck(place, (fingerprint) => tell({ event: 'suspect-cleared', fingerprint }));
  const inline = new Inline(settings, identity, maxConnections, tell, deck, activity);
  starting = inline;
  share = maxConnections;
  inline.beware(watched);
  try {
    await inline.start(warmsUp);
  } catch (error) {
    const { message, stack = '' } = error as Error;
    say({ type: 'failed', exitCode: error instanceof StartupError ? error.exitCode : ExitCode.boot, message, stack });
    return;
  }
  executor = inline;
  if (only?.handed) serveOnly(only.handed);
  say({ type: 'ready' });
}

function accept(listen: readonly number[], migrationChannel: MigrationChannel | undefined): void {
  acceptor = new Acceptor({
    fds: listen,
    backlog: settings.backlog,
    limit: share,
    isShared: true,
    handsOver: false,
    serve: runAccepted,
    onRefused: (count, { pid, uid }) => tell({ event: 'migration-refused', count, senderPid: pid, senderUid: uid }),
    onCrowded: () => executor?.shed(),
    migrationChannel,
  });
  if (draining) acceptor.close();
  else acceptor.start();
}

/** Counted where the process sees it: when the thread dies, the process logs how many connections it had. */
async function runAccepted(connection: IncomingConnection): Promise<void> {
  if (taken) Atomics.add(taken, slot.accepted, 1);
  await executor?.run(connection);
  if (taken) Atomics.sub(taken, slot.accepted, 1);
}

/** The one connection that this thread is for. */
function serveOnly(handed: Handed): void {
  void serve(handed).then(() => drain(farewellMs, 'done', false));
}

async function drain(ms: number, leave: Leave, carries: boolean): Promise<void> {
  if (draining) return;
  draining = true;
  acceptor?.close();
  say({ type: 'draining' });
  // The connection that this thread was started for is served, even if the app is still loading.
  const deadline = now() + ms;
  await within(ms, loading);
  await executor?.drain(until(deadline), leave, carries, () => say({ type: 'migrating' }));
  report();
  say({ type: 'drained' });
  if (only) process.exit();
}

function reportLoad(): void {
  const load = executor?.load();
  if (load !== undefined) say({ type: 'load', load: acceptor?.isFull ? 1 : load });
}

function report(): void {
  const served = executor?.snapshot().served ?? 0;
  if (served > reported) say({ type: 'served', count: served - reported });
  reported = served;
}
