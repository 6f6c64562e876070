// Forks worker processes. Everything that a worker inherits is made here: its settings, its descriptors, the leash that ends
// it with the supervisor, and the memory of its in-flight journal.
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { isDebugged } from '../hang/heartbeat.js';
import { Journal } from '../inflight/journal.js';
import type { Quarantine } from '../inflight/quarantine.js';
import type { Destination } from '../log/destination.js';
import type { LineReader } from '../log/lines.js';
import type { MigrationChannel } from '../migration/channel.js';
import { closeDescriptor, socketPair } from '../os/descriptor.js';
import { openChannel } from '../os/ipc-channel.js';
import { createLeash, type Leash } from '../os/leash.js';
import { createSharedMemory } from '../os/shared-memory.js';
import type { SlotLease, SlotRanges } from '../overload/slot-ranges.js';
import type { Reports } from '../reports/reports.js';
import type { StartOptions } from './runtime.js';
import {
  type AppSettings,
  channelDescriptor,
  settingsDescriptor,
  type ThreadGroup,
  type WorkerSettings,
} from './settings.js';

const entry = fileURLToPath(new URL('../worker/process-main.cjs', import.meta.url));

/** What is the same for all worker processes of a server. */
export interface ProcessOptions {
  readonly app: AppSettings;
  readonly processes: Config['processes'];
  /** undefined if it is the directory of this process. */
  readonly cwd: string | undefined;
  /** Variables that the environment of this process overrides. */
  readonly env: Readonly<Record<string, string>>;
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
  /** @returns our descriptors of the sockets on which the event loops of the worker in this place accept. @throws SystemCallError */
  readonly listen: (id: number) => WorkerSettings['listen'];
  /** Otherwise no two workers have one in common. */
  readonly sharesSockets: boolean;
  /** Where workers write access lines themselves, or what reads them from a pipe, or neither. */
  readonly accessLog: Destination | LineReader | undefined;
  /** Where connections migrate; undefined where they do not. */
  readonly migrationChannel: MigrationChannel | undefined;
  /** Our descriptor of the memory that all event loops share (`memory/server-memory`); undefined if no option needs it. */
  readonly memory: number | undefined;
  /** That of the cache, if all event loops share one. */
  readonly cacheMemory: WorkerSettings['cacheMemory'];
  /** Those in that memory; undefined without --max-inflight. */
  readonly slots: SlotRanges | undefined;
  readonly reports: Reports;
  readonly events: Events;
}

/** Lines that come to us through a pipe of our own are whole up to this size (bytes). */
const ownPipeAtomicBytes = 65_536;

export type ForkedWorker = ReturnType<typeof forkWorker>;

/** @throws StartupError when the system refuses another process, or the descriptors for it */
export function forkWorker(options: ProcessOptions, start: StartOptions, maxConnections: number) {
  const { accessLog, app, captureOutput, keepsRecord, migrationChannel: channel, threads } = options;
  const output = captureOutput ? 'pipe' : options.isDaemon ? 'ignore' : 'inherit';
  const takesLines = typeof accessLog === 'function';
  const stdio: ('pipe' | 'ignore' | 'inherit' | number)[] = ['ignore', output, output, 'ignore', 'ignore'];
  /** @returns the descriptor that it has in the worker */
  const pass = (fd: number | 'pipe'): number => stdio.push(fd) - 1;
  const execArgv = [...process.execArgv, ...options.processes.nodeArg];
  // NODE_ENV as other application servers set it: without it Express, for one, shows stacks to clients.
  const env = { NODE_ENV: 'production', ...options.env, ...process.env, ...portVariable(app) };
  // Threads are watched by the process around them, which runs none of the app.
  const hasHeartbeat = !threads && !isDebugged(execArgv, env);
  let leash: Leash | undefined;
  let journal: Journal | undefined;
  let slots: SlotLease | undefined;
  let settingsFile: number | undefined;
  let ends: readonly [own: number, workers: number] | undefined;
  try {
    ends = socketPair();
    stdio[channelDescriptor] = ends[1];
    settingsFile = createSharedMemory(0);
    stdio[settingsDescriptor] = settingsFile;
    leash = createLeash();
    if (keepsRecord || hasHeartbeat) journal = new Journal(keepsRecord ? eventLoops(threads, maxConnections) : 0);
    slots = options.slots?.lease(threads ? eventLoops(threads, maxConnections) + 1 : 1); // and one for all that are more
    if (leash) pass(leash.fd);
    const journalFile = journal && { fd: pass(journal.fd), layout: journal.layout };
    const settings: WorkerSettings = {
      loop: {
        ...app,
        ...start,
        once: options.once,
        maxConnections,
        sharesSockets: options.sharesSockets,
        migrationChannel: channel && {
          fd: pass(channel.fd),
          credits: pass(channel.credits),
          path: pass(channel.path),
          ...(channel.migrated !== undefined && { migrated: pass(channel.migrated) }),
        },
        accessLog: takesLines
          ? { fd: pass('pipe'), atomicBytes: ownPipeAtomicBytes }
          : accessLog && { fd: pass(accessLog.fd), atomicBytes: accessLog.atomicBytes },
      },
      umask: options.processes.umask,
      threads,
      listen: options.listen(start.id).map((sockets) => sockets.map(pass)),
      memory: options.memory === undefined ? undefined : pass(options.memory),
      cacheMemory: options.cacheMemory && { ...options.cacheMemory, fd: pass(options.cacheMemory.fd) },
      slots: slots?.range,
      journal: keepsRecord ? journalFile : undefined,
      heartbeat: hasHeartbeat && journal && journalFile ? { ...journal.heartbeat, fd: journalFile.fd } : undefined,
    };
    writeSync(settingsFile, JSON.stringify(settings), 0); // at 0, from where the worker reads
    const child = spawn(process.execPath, [...execArgv, entry], {
      // A process group of its own: Ctrl-C on the terminal is for the supervisor, which then ends its workers in order.
      detached: true,
      ...options.owner,
      cwd: options.cwd,
      env,
      stdio,
    });
    child.on('error', () => {}); // 'exit' follows, or it has not started
    if (child.pid === undefined) throw new Error('fork has failed');
    return { child, pid: child.pid, channel: openChannel(ends[0]), leash, journal, slots, settings };
  } catch (cause) {
    if (ends) closeDescriptor(ends[0]);
    leash?.tie(undefined);
    leash?.release();
    journal?.close();
    slots?.release();
    if (cause instanceof StartupError) throw cause;
    const message =
      'the system refuses another worker process; look at its limits on open files and processes (ulimit -n, -u)';
    throw new StartupError(ExitCode.boot, message, { cause });
  } finally {
    if (settingsFile !== undefined) closeDescriptor(settingsFile);
    if (ends) closeDescriptor(ends[1]);
  }
}

/** The port that is served: the app may print it, or pass it on to other programs. */
function portVariable({ addresses }: AppSettings): { readonly PORT?: string } {
  const tcp = addresses.find((address) => typeof address === 'object');
  return tcp ? { PORT: String(tcp.port) } : {};
}

/** How many event loops of a worker can serve at the same time. */
function eventLoops(threads: ThreadGroup | undefined, maxConnections: number): number {
  if (!threads) return 1;
  // A thread that drains may still serve while another takes its place.
  return threads.isPerConnection ? maxConnections + threads.spares : 2 * threads.range.max;
}
