// Starts a worker process: its descriptors, its environment, its leash.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { FlightBox } from '../flight/box.js';
import type { Quarantine } from '../flight/quarantine.js';
import { isDebugged } from '../hang/heartbeat.js';
import type { Destination } from '../log/destination.js';
import type { MigrationChannel } from '../migration/channel.js';
import { createLeash, type Leash } from '../os/leash.js';
import { scheduleAsBatch, scheduleAsOther } from '../os/scheduling.js';
import { type LineReader, readLines } from './lines.js';
import { newKey } from './messages.js';
import { settingsVariable, type WorkerSettings } from './settings.js';
import { WorkerHandle } from './worker.js';

const entry = fileURLToPath(new URL('../worker/process-main.cjs', import.meta.url));

/** After the system refused a process it is asked again so much later (milliseconds). */
export const askAgain = 500;

/** What is the same for all workers of a server. */
export interface SpawnOptions {
  readonly settings: Omit<
    WorkerSettings,
    | 'worker'
    | 'generation'
    | 'channelKey'
    | 'warmsUp'
    | 'maxConnections'
    | 'listen'
    | 'accessLog'
    | 'flights'
    | 'heartbeat'
    | 'migrationChannel'
  >;
  /** Which requests workers should beware of. */
  readonly quarantine: Quarantine;
  /** Whether they keep record of what they are at. */
  readonly keepsRecord: boolean;
  readonly nodeArg: readonly string[];
  readonly captureOutput: boolean;
  /** Nobody hears what the app prints: the command that started the server has gone. */
  readonly isDaemon: boolean;
  /** Who they are; absent where that is who we are. */
  readonly owner: { readonly uid?: number; readonly gid?: number };
  /** Our descriptors of the listening sockets on which workers accept. */
  readonly listen: readonly number[];
  /** Where workers write access lines themselves, or who takes them from a pipe, or neither. */
  readonly accessLog: Destination | LineReader | undefined;
  /** Where connections are carried over; undefined where they are not. */
  readonly migrationChannel: MigrationChannel | undefined;
  readonly events: Events;
}

// Places in a worker's table of descriptors: the leash is between them, the listening sockets follow.
const accessLogPlace = 4;
const boxPlace = 6;
const channelPlace = 7;
const creditsPlace = 8;
const migratedPlace = 9;
const channelPathPlace = 10;
const listenPlace = 11;

/** Lines that come to us through a pipe of our own are whole at any size. */
const wholeInOwnPipe = 65_536;

/**
 * @param warmsUp it answers a request of its own first (`executor/warm-up`): clients that come when it is ready should
 *   not notice that it is new
 * @throws StartupError when the system refuses another process, or the descriptors for it.
 */
export function spawn(
  options: SpawnOptions,
  worker: number,
  generation: number,
  maxConnections: number,
  warmsUp: boolean,
): WorkerHandle {
  const { accessLog, captureOutput, events, listen, quarantine, keepsRecord, migrationChannel } = options;
  const output = captureOutput ? 'pipe' : options.isDaemon ? 'ignore' : 'inherit';
  const leash = refusable(createLeash);
  const execArgv = [...process.execArgv, ...options.nodeArg];
  const { executor, hangTimeout: hangMs } = options.settings;
  // Threads are watched by the process around them, which runs none of the app.
  const isWatched = hangMs > 0 && executor === 'inline' && !isDebugged(execArgv);
  const loops = keepsRecord ? loopsOf(options.settings, maxConnections) : 0;
  const box = keepsRecord || isWatched ? refusable(() => new FlightBox(loops), leash) : undefined;
  const takesLines = typeof accessLog === 'function';
  const settings: WorkerSettings = {
    ...options.settings,
    worker,
    generation,
    channelKey: newKey(),
    warmsUp,
    maxConnections,
    listen: listen.map((_, i) => listenPlace + i),
    migrationChannel: migrationChannel && {
      ...migrationChannel,
      fd: channelPlace,
      credits: creditsPlace,
      path: channelPathPlace,
      ...(migrationChannel.migrated !== undefined && { migrated: migratedPlace }),
    },
    flights: keepsRecord && box ? { fd: boxPlace, plan: box.plan } : undefined,
    heartbeat: isWatched && box ? { ...box.heartbeat, fd: boxPlace } : undefined,
    accessLog: accessLog && { fd: accessLogPlace, whole: takesLines ? wholeInOwnPipe : accessLog.whole },
  };
  const start = () =>
    fork(entry, [], {
      // A group of its own: Ctrl-C on the terminal is for the supervisor, which then ends its workers in order.
      detached: true,
      ...options.owner,
      execArgv,
      // As other application servers do: without it Express, for one, shows stacks to clients.
      env: { NODE_ENV: 'production', ...process.env, [settingsVariable]: JSON.stringify(settings) },
      stdio: [
        'ignore',
        output,
        output,
        'ipc',
        takesLines ? 'pipe' : (accessLog?.fd ?? 'ignore'),
        leash?.fd ?? 'ignore',
        box?.fd ?? 'ignore',
        migrationChannel?.fd ?? 'ignore',
        migrationChannel?.credits ?? 'ignore',
        migrationChannel?.migrated ?? 'ignore',
        migrationChannel?.path ?? 'ignore',
        ...listen,
      ],
    });
  const child = refusable(start, leash, box);
  if (child.pid === undefined) {
    child.once('error', () => {}); // it comes later, and says no more than this
    letGo(leash, box);
    throw refused();
  }
  leash?.tie(child.pid);
  scheduleAsBatch(child.pid);
  if (takesLines) readLines(child.stdio[accessLogPlace], accessLog);
  const { pid } = child;
  const isMeasured = options.settings.measure !== undefined;
  const { bootTimeout, readyPath } = options.settings;
  // To load, and then to be ready.
  const bootMs = readyPath === undefined ? bootTimeout : 2 * bootTimeout;
  for (const stream of ['stdout', 'stderr'] as const) {
    if (child[stream]) readLines(child[stream], (text) => events.tell({ event: 'output', pid, stream, text }));
  }
  const handle = new WorkerHandle({
    id: worker,
    generation,
    pid,
    child,
    leash,
    box,
    quarantine,
    events,
    bootMs,
    hangMs: isWatched ? hangMs : 0,
    isMeasured,
    channelKey: settings.channelKey,
    hasThreads: executor !== 'inline',
  });
  if (options.settings.once) {
    const loaded = () => scheduleAsOther(pid); // it has no batch of connections, and those who start can wait for it
    handle.ready.then(loaded, () => {});
  }
  return handle;
}

/** How many event loops of a worker can serve at the same time. */
function loopsOf({ executor, threadRange, spares }: SpawnOptions['settings'], maxConnections: number): number {
  // A thread that is on its way out may still serve while another takes its place.
  const loops = { inline: 1, 'thread-pool': 2 * threadRange.max, 'thread-per-connection': maxConnections + spares };
  return loops[executor];
}

function refusable<T>(call: () => T, leash?: Leash, box?: FlightBox): T {
  try {
    return call();
  } catch (error) {
    letGo(leash, box);
    throw refused(error);
  }
}

/** What was for a worker that there is not. */
function letGo(leash: Leash | undefined, box: FlightBox | undefined): void {
  leash?.tie(undefined);
  leash?.release();
  box?.close();
}

function refused(cause?: unknown): StartupError {
  const message =
    'the system refuses another worker process; look at its limits on open files and processes (ulimit -n, -u)';
  return new StartupError(ExitCode.boot, message, { cause });
}
