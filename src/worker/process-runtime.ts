// Starts worker processes and hands connections to them over IPC. Everything that a worker inherits is made here: its
// settings, its descriptors, the leash that ends it with the supervisor, and the memory of its in-flight journal.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.js';
import type { IncomingConnection } from '../connection/incoming.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { HeartbeatFile, isDebugged } from '../hang/heartbeat.js';
import { type ProcessWatch, watchProcess } from '../hang/process-watch.js';
import { Journal } from '../inflight/journal.js';
import type { Quarantine } from '../inflight/quarantine.js';
import type { Destination } from '../log/destination.js';
import { type LineReader, readLines } from '../log/lines.js';
import type { MigrationChannel } from '../migration/channel.js';
import { guardChannel } from '../os/ipc-guard.js';
import { createLeash, type Leash } from '../os/leash.js';
import { residentMemory, wantedCpuMs } from '../os/process-tree.js';
import { schedule } from '../os/scheduling.js';
import type { Reports } from '../reports/reports.js';
import { checkMessage, describeMessage } from './checked-messages.js';
import { InvalidMessages } from './invalid-messages.js';
import { commandOf, type FromWorker, newKey, type ToWorker, unkeyed } from './messages.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';
import { type AppSettings, settingsVariable, type ThreadGroup, type WorkerSettings } from './settings.js';

const entry = fileURLToPath(new URL('../worker/process-main.cjs', import.meta.url));

/** What is the same for all worker processes of a server. */
export interface ProcessOptions {
  readonly app: AppSettings;
  readonly processes: Config['processes'];
  /** Each process serves one connection, then exits. */
  readonly once: boolean;
  readonly threads: ThreadGroup | undefined;
  readonly quarantine: Quarantine;
  /** The requests in flight are recorded. */
  readonly keepsRecord: boolean;
  readonly captureOutput: boolean;
  /** The output of the app goes nowhere: the command that started the server has gone. */
  readonly isDaemon: boolean;
  /** The user and group of the workers; absent where they are the supervisor's. */
  readonly owner: { readonly uid?: number; readonly gid?: number };
  /** Our descriptors of the listening sockets on which workers accept. */
  readonly listen: readonly number[];
  /** Where workers write access lines themselves, or what reads them from a pipe, or neither. */
  readonly accessLog: Destination | LineReader | undefined;
  /** Where connections migrate; undefined where they do not. */
  readonly migrationChannel: MigrationChannel | undefined;
  readonly reports: Reports;
  readonly events: Events;
}

/** The descriptors of a worker beyond the standard ones; the listening sockets come last. */
const descriptors = {
  ipc: 3,
  accessLog: 4,
  leash: 5,
  journal: 6,
  channel: 7,
  credits: 8,
  migrated: 9,
  path: 10,
  listen: 11,
};

/** How long a process may take to exit by itself, also where it has to wait for a processor (milliseconds). */
const exitGraceMs = 2000;
/** Messages that a process sent before its exit are read within this time, unless its channel is held open (milliseconds). */
const unreadMs = 500;
/** Lines that come to us through a pipe of our own are whole up to this size (bytes). */
const ownPipeAtomicBytes = 65_536;

/** @throws StartupError when the system refuses another process, or the descriptors for it */
export function startProcess(options: ProcessOptions, start: StartOptions, maxConnections: number): Unit {
  const { accessLog, app, captureOutput, listen, keepsRecord, migrationChannel: channel, threads } = options;
  const output = captureOutput ? 'pipe' : options.isDaemon ? 'ignore' : 'inherit';
  const leash = orRefused(createLeash);
  const execArgv = [...process.execArgv, ...options.processes.nodeArg];
  // Threads are watched by the process around them, which runs none of the app.
  const isWatched = app.lifecycle.hangTimeout > 0 && !threads && !isDebugged(execArgv);
  const loops = keepsRecord ? eventLoops(threads, maxConnections) : 0;
  const journal = keepsRecord || isWatched ? orRefused(() => new Journal(loops), leash) : undefined;
  const takesLines = typeof accessLog === 'function';
  const settings: WorkerSettings = {
    loop: {
      ...app,
      ...start,
      once: options.once,
      maxConnections,
      migrationChannel: channel && {
        fd: descriptors.channel,
        credits: descriptors.credits,
        path: descriptors.path,
        ...(channel.migrated !== undefined && { migrated: descriptors.migrated }),
      },
      accessLog: accessLog && {
        fd: descriptors.accessLog,
        atomicBytes: takesLines ? ownPipeAtomicBytes : accessLog.atomicBytes,
      },
    },
    umask: options.processes.umask,
    channelKey: newKey(),
    threads,
    listen: listen.map((_, i) => descriptors.listen + i),
    journal: keepsRecord && journal ? { fd: descriptors.journal, layout: journal.layout } : undefined,
    heartbeat: isWatched && journal ? { ...journal.heartbeat, fd: descriptors.journal } : undefined,
  };
  const run = () =>
    fork(entry, [], {
      // A process group of its own: Ctrl-C on the terminal is for the supervisor, which then ends its workers in order.
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
        journal?.fd ?? 'ignore',
        channel?.fd ?? 'ignore',
        channel?.credits ?? 'ignore',
        channel?.migrated ?? 'ignore',
        channel?.path ?? 'ignore',
        ...listen,
      ],
    });
  const child = orRefused(run, leash, journal);
  const { pid } = child;
  if (pid === undefined) {
    child.once('error', () => {}); // it comes later, and says no more than this
    release(leash, journal);
    throw refused();
  }
  leash?.tie(pid);
  schedule(pid, 'batch');
  if (takesLines) readLines(child.stdio[descriptors.accessLog], accessLog);
  for (const stream of ['stdout', 'stderr'] as const) {
    if (child[stream]) readLines(child[stream], (text) => options.events.tell({ event: 'output', pid, stream, text }));
  }
  return new ProcessUnit(child, pid, options, start.id, settings.channelKey, leash, journal, isWatched);
}

class ProcessUnit implements Unit {
  readonly tid = 0;
  readonly exitGraceMs = exitGraceMs;
  readonly accepted = 0;
  readonly exited: Promise<UnitExit>;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #options: ProcessOptions;
  readonly #key: string;
  readonly #watchHangs: (() => ProcessWatch) | undefined;
  readonly #invalid: InvalidMessages;
  #hang: ProcessWatch | undefined;
  /** Each connection is answered by `taken` or `refused`, in turn. */
  #handled = 0;
  /** It has reported itself in which code it is blocked. */
  #hasReportedHang = false;

  constructor(
    child: ChildProcess,
    pid: number,
    options: ProcessOptions,
    worker: number,
    key: string,
    leash: Leash | undefined,
    journal: Journal | undefined,
    isWatched: boolean,
  ) {
    const { events, quarantine, keepsRecord, app } = options;
    this.pid = pid;
    this.#child = child;
    this.#options = options;
    this.#key = key;
    if (isWatched && journal) {
      const heartbeat = new HeartbeatFile(journal.heartbeat);
      this.#watchHangs = () => watchProcess(pid, heartbeat, app.lifecycle.hangTimeout, () => child.kill('SIGKILL'));
    }
    this.#invalid = new InvalidMessages((count, type) => {
      events.tell({ event: 'worker-message-invalid', worker, pid, count, type });
    });
    guardChannel(child, (reason) => {
      events.tell({ event: 'worker-killed', worker, pid, reason });
      child.kill('SIGKILL'); // and is replaced, as a worker that dies by itself
    });
    const updateDenylist = (): void => this.send({ type: 'denylist', entries: quarantine.denylist });
    if (keepsRecord) {
      const { suspects, refused } = quarantine.denylist;
      if (suspects.length + refused.length > 0) updateDenylist();
      quarantine.on('change', updateDenylist);
    }
    this.exited = exitOf(child).then(({ code, signal }) => {
      leash?.release();
      quarantine.off('change', updateDenylist);
      this.#invalid.flush();
      this.#reportHang();
      const requests = journal?.take() ?? [];
      journal?.close();
      const reason = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
      return { code, signal, reason, requests };
    });
  }

  get memory(): number {
    return residentMemory(this.pid);
  }

  get wantedCpuMs(): number | undefined {
    return wantedCpuMs(this.pid);
  }

  get handled(): number {
    return this.#handled;
  }

  listen(listener: (message: FromWorker) => void): void {
    const sender = { pid: this.pid, hasThreads: this.#options.threads !== undefined };
    this.#child.on('message', (raw) => {
      const sent = unkeyed(this.#key, raw);
      if (sent === undefined) return; // the app's
      const message = checkMessage(sent, sender);
      if (!message) return this.#invalid.add(describeMessage(sent));
      if (message.type === 'taken' || message.type === 'refused') this.#handled++;
      if (message.type === 'report' && message.report.kind === 'hung' && message.report.tid === 0)
        this.#hasReportedHang = true;
      listener(message);
    });
  }

  send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(commandOf(message), () => {}); // an error: it has ended, and `exited` says so
  }

  hand(connection: IncomingConnection, id: number): boolean {
    const { unreadSocket } = connection;
    if (unreadSocket.destroyed) return false;
    const message = { type: 'connection', id, facts: connection.facts } as const;
    this.#child.send(commandOf(message), unreadSocket, { keepOpen: true }, () => {});
    return true;
  }

  watch(): void {
    this.#hang = this.#watchHangs?.();
    // It has no pool of connections to compete for, and workers that start can wait for it.
    if (this.#options.once) schedule(this.pid, 'other');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Where the worker could not report itself that it was blocked. */
  #reportHang(): void {
    this.#hang?.end();
    const stillMs = this.#hang?.blockedMs;
    if (stillMs === undefined || this.#hasReportedHang) return;
    this.#options.reports.publish({ kind: 'hung', pid: this.pid, stillMs, stack: [], requests: [] });
  }
}

/** Settles when it has exited and all that it had sent has been read: its last messages may come after its exit. */
function exitOf(child: ChildProcess): Promise<Pick<UnitExit, 'code' | 'signal'>> {
  return new Promise((resolve) => {
    child.once('error', () => {}); // 'exit' follows, or has come
    child.once('exit', (code, signal) => {
      const heard = (): void => {
        clearTimeout(late);
        resolve({ code, signal });
      };
      const late = setTimeout(() => setImmediate(heard), unreadMs); // what has come by then is read before
      if (child.connected) child.once('disconnect', heard);
      else heard();
    });
  });
}

/** How many event loops of a worker can serve at the same time. */
function eventLoops(threads: ThreadGroup | undefined, maxConnections: number): number {
  if (!threads) return 1;
  // A thread that drains may still serve while another takes its place.
  return threads.isPerConnection ? maxConnections + threads.spares : 2 * threads.range.max;
}

function orRefused<T>(call: () => T, leash?: Leash, journal?: Journal): T {
  try {
    return call();
  } catch (error) {
    release(leash, journal);
    throw refused(error);
  }
}

/** What was made for a worker that could not be started. */
function release(leash: Leash | undefined, journal: Journal | undefined): void {
  leash?.tie(undefined);
  leash?.release();
  journal?.close();
}

function refused(cause?: unknown): StartupError {
  const message =
    'the system refuses another worker process; look at its limits on open files and processes (ulimit -n, -u)';
  return new StartupError(ExitCode.boot, message, { cause });
}
