// The inside of a worker process: makes the executor, then accepts connections or is given them, until it is told
// to drain. The supervisor's view of it is `handle.ts`.
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Activity } from '../activity.js';
import { now, until, within } from '../clock.js';
import { Acceptor } from '../connection/acceptor.js';
import { type ConnectionFacts, IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import { errorRecord } from '../events.js';
import { mapDeck, openDeck, unmapped } from '../flight/deck.js';
import { nothingWatched } from '../flight/watchlist.js';
import { reportWhenBlocked } from '../hang/hang-report.js';
import { Heartbeat, HeartbeatFile } from '../hang/heartbeat.js';
import { reopen } from '../os/descriptor.js';
import { lookEvery } from '../upkeep/scaler.js';
import { Inline } from './app-runner.js';
import { deaf, type Leave } from './close-app.js';
import { type FromWorker, keyed, messageIn, type ToWorker } from './messages.js';
import type { Executor, Tell } from './service.js';
import { settingsVariable, type WorkerSettings } from './settings.js';

/** Served requests are reported this often while there are any (milliseconds). */
const reportEvery = 1000;
/** What a worker that has served its one connection leaves to the app to close (milliseconds). */
const farewellMs = 5000;

/** By then others that have started with this one are ready, too (milliseconds). Until then a record is a write(2). */
const mapAfter = 100;

const settings = JSON.parse(process.env[settingsVariable] ?? 'null') as WorkerSettings;
delete process.env[settingsVariable]; // the app sees the environment that the user gave it

if (settings.umask !== undefined) process.umask(settings.umask);

/** Before the app can put another one in its place. */
const send = process.send?.bind(process) as ((message: object, sent: () => void) => boolean) | undefined;
const say = (message: FromWorker, said?: () => void): void => {
  // Without a channel there is no supervisor, and 'disconnect' has ended this process.
  if (process.connected) send?.(keyed(settings.channelKey, message), () => said?.());
};
const identity = { pid: process.pid, tid: 0 };
const tell: Tell = (event) => say({ type: 'event', event: { ...identity, ...event } });

const executors: { readonly [E in WorkerSettings['executor']]: () => Promise<Executor> } = {
  inline: async () => inline,
  'thread-pool': async () => new (await import('./thread-pool.js')).ThreadPool(settings, tell),
  'thread-per-connection': async () =>
    new (await import('./thread-per-connection.js')).ThreadPerConnection(settings, tell),
};

/** Of this event loop; what threads do, their executor keeps record of. */
const place = settings.flights && settings.executor === 'inline' ? unmapped(settings.flights)(0) : undefined;
const deck = settings.flights && openDeck(place, (fingerprint) => tell({ event: 'suspect-cleared', fingerprint }));
/** Of this event loop. */
const activity = new Activity();
const inline = new Inline(settings, identity, settings.maxConnections, tell, deck, activity);
let executor: Executor | undefined;
/** The same, before it can serve. */
let starting: Executor | undefined;
let watched = nothingWatched;
let acceptor: Acceptor | undefined;
/** Connections that were given before the app was loaded. */
const early: { id: number; connection: IncomingConnection }[] = [];
let draining = false;
let reported = 0;

const handlers: {
  readonly [T in ToWorker['type']]: (message: Extract<ToWorker, { type: T }>, socket?: Socket) => void;
} = {
  connection: ({ id, ...facts }, socket) => socket && take(id, socket, facts),
  drain: ({ ms, carries }) => void drain(ms, 'told', carries),
  stay: () => executor?.stay(),
  share: ({ part }) => executor?.share(part),
  expect: ({ isExpecting }) => starting?.expect(isExpecting),
  'idle?': () => say({ type: 'idle', ms: executor === inline ? inline.idleFor() : -1 }),
  shed: () => executor?.shed(),
  beware: (message) => {
    watched = message.watched;
    starting?.beware(watched);
  },
  reopen: ({ path }) => say({ type: 'reopened', ...reopenAccessLog(path) }),
};
(process as EventEmitter).on('internalMessage', (raw: unknown, socket: unknown) => {
  const message = messageIn(raw);
  if (message) handlers[message.type](message as never, socket as Socket | undefined);
});
process.channel?.ref(); // also when the app removes the listeners that Node counts
process.once('disconnect', () => process.exit(1)); // the supervisor is gone
process.on('SIGTERM', deaf);
process.on('SIGINT', deaf);
process.on('uncaughtExceptionMonitor', (error) => tell({ event: 'app-crashed', err: errorRecord(error) }));
reportServed();
if (settings.measure) setInterval(reportLoad, lookEvery).unref();
const started = start();

/** From now on the supervisor sees whether this event loop is blocked, and is told in what. */
function startHeartbeat(): void {
  if (!settings.heartbeat) return;
  const file = new HeartbeatFile(settings.heartbeat);
  activity.add(
    new Heartbeat(settings.hangTimeout, (dueBy) => {
      file.dueBy = dueBy;
    }),
  );
  reportWhenBlocked(file, (stack, stillMs) => tell({ event: 'hung', stack, stillMs, requests: inline.inFlight() }));
}

async function start(): Promise<void> {
  try {
    const made = await executors[settings.executor]();
    starting = made;
    made.beware(watched);
    await made.start(settings.warmsUp);
    executor = made;
  } catch (error) {
    const { message, stack = '' } = error as Error;
    const exitCode = error instanceof StartupError ? error.exitCode : ExitCode.boot;
    say({ type: 'failed', exitCode, message, stack }, () => process.exit(exitCode));
    return;
  }
  startHeartbeat();
  if (!draining) acceptor = listen(executor);
  say({ type: 'ready' });
  // A child of ppc does not live long enough for it.
  const { flights, once } = settings;
  if (deck && flights && !once) setTimeout(() => mapDeck(deck, flights), mapAfter).unref();
  for (const { id, connection } of early.splice(0)) serve(executor, id, connection);
}

/** Accepts on the sockets that this process inherited, unless its threads do. */
function listen(executor: Executor): Acceptor | undefined {
  const threadsAccept = settings.executor === 'thread-pool' && settings.threadAccept === 'shared';
  if (settings.listen.length === 0 || threadsAccept) return undefined;
  const acceptor = new Acceptor({
    fds: settings.listen,
    backlog: settings.backlog,
    limit: settings.maxConnections,
    isShared: true,
    handsOver: settings.executor !== 'inline',
    serve: (connection) => executor.run(connection),
    onRefused: (count, { pid, uid }) => tell({ event: 'migration-refused', count, senderPid: pid, senderUid: uid }),
    onCrowded: () => executor.shed(),
    migrationChannel: settings.migrationChannel,
    usesCredits: settings.executor === 'thread-per-connection',
  });
  executor.onSpares?.((count) => {
    acceptor.credits = count;
  });
  acceptor.start();
  return acceptor;
}

function take(id: number, socket: Socket, facts: ConnectionFacts): void {
  socket.on('error', () => {}); // until it is adopted nobody else listens, and its client may reset it
  const connection = IncomingConnection.of(socket, facts);
  if (draining) refuse(id, connection);
  else if (executor) serve(executor, id, connection);
  else early.push({ id, connection });
}

function serve(executor: Executor, id: number, connection: IncomingConnection): void {
  say({ type: 'accepted', id });
  void executor.run(connection).then(() => {
    say({ type: 'closed', id });
    if (settings.once) void drain(farewellMs, 'done', false);
  });
}

function refuse(id: number, connection: IncomingConnection): void {
  say({ type: 'refused', id });
  connection.close(); // our copy; the supervisor has kept its own
}

async function drain(ms: number, leave: Leave, carries: boolean): Promise<void> {
  if (draining) return;
  draining = true;
  acceptor?.close();
  // What was given while the app was still loading is served, too.
  const deadline = now() + ms;
  await within(ms, started);
  for (const { id, connection } of early.splice(0)) refuse(id, connection);
  const drained = executor?.drain(until(deadline), leave, carries, () => say({ type: 'migrating' }));
  await executor?.acceptNoMore?.();
  say({ type: 'draining' });
  await drained;
  say({ type: 'served', count: unreported() }, () => process.exit(0));
}

/** For all threads, too: they write to the same descriptor. */
function reopenAccessLog(path: string): { readonly failure?: string } {
  try {
    if (settings.accessLog) reopen(settings.accessLog.fd, path);
    return {};
  } catch (error) {
    return { failure: (error as Error).message };
  }
}

function reportLoad(): void {
  const load = executor?.load();
  if (load !== undefined) say({ type: 'load', load: acceptor?.isFull ? 1 : load });
}

function reportServed(): void {
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    timer = setInterval(report, reportEvery).unref();
  };
  const stop = (): void => {
    clearInterval(timer);
    report();
  };
  // Threads have their connections without this event loop.
  if (settings.executor === 'inline') activity.add({ start, stop });
  else start();
}

function report(): void {
  const count = unreported();
  if (count > 0) say({ type: 'served', count });
}

function unreported(): number {
  const before = reported;
  reported = executor?.snapshot().served ?? 0;
  return reported - before;
}
