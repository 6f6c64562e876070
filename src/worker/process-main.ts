// A worker process: the channel to the supervisor is Node's, which the app may use as well.
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Activity } from '../activity.js';
import { ignoreSignal } from '../app/close-app.js';
import { IncomingConnection } from '../connection/incoming.js';
import { reportWhenBlocked } from '../hang/hang-report.js';
import { Heartbeat, HeartbeatFile } from '../hang/heartbeat.js';
import { openLoopJournal } from '../inflight/loop-journal.js';
import { mapJournal, regionAt } from '../inflight/regions.js';
import { reopen } from '../os/descriptor.js';
import { AppRunner } from './app-runner.js';
import { WorkerMain } from './main.js';
import { type FromWorker, type Handed, keyed, messageIn } from './messages.js';
import { settingsVariable, type WorkerSettings } from './settings.js';

/** By then the workers that have started with this one are ready, too (milliseconds). Until then a record is a write(2). */
const mapAfterMs = 100;

const settings = JSON.parse(process.env[settingsVariable] ?? 'null') as WorkerSettings;
delete process.env[settingsVariable]; // the app sees the environment that the user gave it

if (settings.umask !== undefined) process.umask(settings.umask);

/** Before the app can replace it. */
const send = process.send?.bind(process) as ((message: object, sent: () => void) => boolean) | undefined;
const say = (message: FromWorker, sent?: () => void): void => {
  // Without a channel there is no supervisor, and 'disconnect' has ended this process.
  if (process.connected) send?.(keyed(settings.channelKey, message), () => sent?.());
};

const identity = { pid: process.pid, tid: 0 };
const activity = new Activity();
const { loop, journal, threads, heartbeat } = settings;
/** Of this event loop; the threads of a host have their own. */
const region = journal && !threads ? regionAt(journal, 0) : undefined;
const loopJournal =
  journal && openLoopJournal(region, (fingerprint) => main.tell({ kind: 'suspect-cleared', fingerprint }));

const main: WorkerMain = new WorkerMain({
  settings: loop,
  threads,
  identity,
  activity,
  say,
  makeService: async () =>
    threads
      ? new (await import('./thread-host.js')).ThreadHost(settings, threads, main.tell)
      : new AppRunner({ settings: loop, identity, tell: main.tell, loopJournal, activity }),
  onReady: () => {
    startHeartbeat();
    // A worker for one connection does not live long enough for it.
    if (journal && region && !loop.once)
      setTimeout(() => loopJournal?.writer?.map(mapJournal(journal)), mapAfterMs).unref();
  },
  reopen: reopenAccessLog,
  exit: () => process.exit(0),
});

(process as EventEmitter).on('internalMessage', (raw: unknown, socket: unknown) => {
  const message = messageIn(raw);
  if (message?.type === 'connection') {
    if (socket) void serve(message, socket as Socket);
  } else if (message) main.handle(message);
});
process.channel?.ref(); // also when the app removes the listeners that Node counts
process.once('disconnect', () => process.exit(1)); // the supervisor is gone
process.on('SIGTERM', ignoreSignal);
process.on('SIGINT', ignoreSignal);
// Where threads accept, this process does not.
main.start(threads && !threads.hostAccepts ? [] : settings.listen, loop.migrationChannel);

/** Says `taken` or `refused`, then `ended`. */
async function serve({ id, requests, isMigrated }: Handed, socket: Socket): Promise<void> {
  socket.on('error', () => {}); // its client may reset it before the app has loaded
  const connection = IncomingConnection.of(socket, { requests, isMigrated });
  if (main.isDraining) {
    connection.close(); // our copy; the supervisor has kept its own
    say({ type: 'refused', id });
    return;
  }
  await main.serve(connection, () => {
    say({ type: 'taken', id });
    return true;
  });
  say({ type: 'ended', id });
  main.finish();
}

/** From now on the supervisor sees whether this event loop is blocked, and is told in what. */
function startHeartbeat(): void {
  if (!heartbeat) return;
  const file = new HeartbeatFile(heartbeat);
  activity.add(
    new Heartbeat(loop.lifecycle.hangTimeout, (dueBy) => {
      file.dueBy = dueBy;
    }),
  );
  reportWhenBlocked(file, (stack, stillMs) =>
    main.tell({ kind: 'hung', stack, stillMs, requests: main.service?.inFlight() ?? [] }),
  );
}

/** For all threads, too: they write to the same descriptor. */
function reopenAccessLog(path: string): { readonly failure?: string } {
  try {
    if (loop.accessLog) reopen(loop.accessLog.fd, path);
    return {};
  } catch (error) {
    return { failure: (error as Error).message };
  }
}
