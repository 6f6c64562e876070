// Starts worker processes and hands connections to them over IPC. Everything that a worker inherits is made here: its
// settings, its descriptors, the leash that ends it with the supervisor, and the memory of its in-flight journal.
import { type ChildProcess, type SendHandle, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { within } from '../clock.js';
import type { Config } from '../config/config.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Events } from '../events.js';
import { HeartbeatFile, isDebugged } from '../hang/heartbeat.js';
import { type ProcessWatch, watchProcess } from '../hang/process-watch.js';
import { Journal } from '../inflight/journal.js';
import type { Quarantine } from '../inflight/quarantine.js';
import type { Destination } from '../log/destination.js';
import { type LineReader, readLines } from '../log/lines.js';
import type { MigrationChannel } from '../migration/channel.js';
import { closeDescriptor, socketPair } from '../os/descriptor.js';
import { ProcessEventLoop } from '../os/event-loop.js';
import { type IpcChannel, openChannel } from '../os/ipc-channel.js';
import { guardChannel } from '../os/ipc-guard.js';
import { createLeash, type Leash } from '../os/leash.js';
import { type SendableSocket, sendableSocket } from '../os/node-socket.js';
import { isStopped, residentMemory, wantedCpuMs } from '../os/process-tree.js';
import { schedule } from '../os/scheduling.js';
import { createSharedMemory } from '../os/shared-memory.js';
import type { SlotLease, SlotRanges } from '../overload/slot-ranges.js';
import { RareReport } from '../rare-report.js';
import type { Reports } from '../reports/reports.js';
import { checkMessage, describeMessage } from './checked-messages.js';
import type { DumpMessage, FromWorker, ToWorker } from './messages.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';
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
  /** Those in that memory; undefined without --max-inflight. */
  readonly slots: SlotRanges | undefined;
  readonly reports: Reports;
  readonly events: Events;
}

/** How long a process may take to exit by itself, also where it has to wait for a processor (milliseconds). */
const exitGraceMs = 2000;
/** Messages that a process sent before its exit are read within this time, unless its channel is held open (milliseconds). */
const unreadMs = 500;
/** A process that has closed its channel is usually exiting, which may take this long (milliseconds). */
const exitWithoutChannelMs = 10_000;
/** Invalid messages are reported this often at most (milliseconds). */
const reportInvalidEveryMs = 10_000;
/** Why a worker did not get a descriptor. */
const noDescriptor = 'it has no free file descriptor (ulimit -n)';
/** Lines that come to us through a pipe of our own are whole up to this size (bytes). */
const ownPipeAtomicBytes = 65_536;

/** @throws StartupError when the system refuses another process, or the descriptors for it */
export function startProcess(options: ProcessOptions, start: StartOptions, maxConnections: number): Unit {
  const { accessLog, events } = options;
  const forked = forkWorker(options, start, maxConnections);
  const { child, pid, settings } = forked;
  forked.leash?.tie(pid);
  schedule(pid, 'batch');
  const linesFrom = settings.loop.accessLog?.fd ?? -1;
  if (typeof accessLog === 'function') readLines(child.stdio[linesFrom], accessLog);
  for (const stream of ['stdout', 'stderr'] as const) {
    if (child[stream]) readLines(child[stream], (text) => events.tell({ event: 'output', pid, stream, text }));
  }
  return unitOf(forked, options, start.id);
}

function forkWorker(options: ProcessOptions, start: StartOptions, maxConnections: number) {
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

function unitOf(forked: ReturnType<typeof forkWorker>, options: ProcessOptions, worker: number): Unit {
  const { child, pid, channel, leash, journal, slots, settings } = forked;
  const { app, events, keepsRecord, quarantine, reports, threads } = options;
  const sender = { pid, hasThreads: threads !== undefined };
  const heartbeat = settings.heartbeat && journal && new HeartbeatFile(journal.heartbeat);
  let hang: ProcessWatch | undefined;
  let mayBlock = false;
  const eventLoop = new ProcessEventLoop(pid);
  /** Each connection is answered by `taken` or `refused`, in turn. */
  let handled = 0;
  let hear = (_: FromWorker): void => {};
  /** It has reported itself in which code it is blocked. */
  let hasReportedHang = false;

  /** On their way to it. */
  const sending = new Set<SendableSocket>();
  /** For each descriptor that was sent, in turn: what to do if the worker has none free. The worker acknowledges each. */
  const whenCut: (() => void)[] = [];

  const kill = (): void => void child.kill('SIGKILL');
  const send = (message: ToWorker): void => {
    if (channel.connected) channel.send(message, () => {}); // an error: it has ended, and `exited` says so
  };
  /** @param onNone the worker has no descriptor free for it */
  const sendDescriptor = (message: ToWorker, fd: number, onNone: () => void): void => {
    if (!channel.connected) return;
    const socket = sendableSocket(fd);
    sending.add(socket);
    whenCut.push(onNone);
    channel.send(message, socket.handle as SendHandle, {}, () => {
      sending.delete(socket);
      socket.close();
    });
  };
  const invalid = new RareReport<string>(reportInvalidEveryMs, (count, type) => {
    events.tell({ event: 'worker-message-invalid', worker, pid, count, type });
  });
  const fail = (reason: string): void => {
    events.tell({ event: 'worker-killed', worker, pid, reason });
    kill(); // and is replaced, as a worker that dies by itself
  };
  guardChannel(channel, fail);
  let untilExit: NodeJS.Timeout | undefined;
  channel.once('disconnect', () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    untilExit = setTimeout(
      () => fail('it has closed its IPC channel, so it could not be told to end'),
      exitWithoutChannelMs,
    );
  });
  const updateDenylist = (): void => send({ type: 'denylist', entries: quarantine.denylist });
  if (keepsRecord) {
    const { suspects, refused, isSearching } = quarantine.denylist;
    if (suspects.length + refused.length > 0 || isSearching) updateDenylist();
    quarantine.on('change', updateDenylist);
  }
  const exited = exitOf(child, channel).then(({ code, signal }) => {
    clearTimeout(untilExit);
    eventLoop.close();
    leash?.release();
    slots?.release();
    for (const socket of sending) socket.close();
    quarantine.off('change', updateDenylist);
    invalid.flush();
    hang?.end();
    // Where the worker could not report itself that it was blocked.
    const stillMs = hang?.blockedMs;
    if (stillMs !== undefined && !hasReportedHang)
      reports.publish({ kind: 'hung', pid, stillMs, stack: [], requests: [] });
    const requests = journal?.take() ?? [];
    journal?.close();
    const reason = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}${causes[signal] ?? ''}`;
    const cause: UnitExit['cause'] =
      stillMs !== undefined ? 'hang' : signal === 'SIGABRT' ? 'out-of-memory' : undefined;
    return { code, signal, reason, cause, requests };
  });

  return {
    pid,
    tid: 0,
    exitGraceMs,
    exited,
    accepted: 0,
    get memory() {
      return residentMemory(pid);
    },
    get wantedCpuMs() {
      return wantedCpuMs(pid);
    },
    get handled() {
      return handled;
    },
    get waitsForEvents() {
      return eventLoop.waits;
    },
    inFlight: () => journal?.inFlight() ?? [],
    listen(listener) {
      hear = (message) => {
        if (message.type === 'taken' || message.type === 'refused') handled++;
        if (message.type === 'report' && message.report.kind === 'hung' && message.report.tid === 0)
          hasReportedHang = true;
        listener(message);
      };
      channel.on('message', (raw) => {
        const message = checkMessage(raw, sender);
        if (message) hear(message);
        else invalid.add(describeMessage(raw));
      });
      channel.on('internalMessage', ({ cmd }) => {
        if (cmd === 'NODE_HANDLE_ACK') whenCut.shift();
        if (cmd === 'NODE_HANDLE_NACK') whenCut.shift()?.(); // the kernel has cut the descriptor off the message
      });
    },
    send,
    hand(connection, id) {
      const { unreadSocket } = connection;
      if (unreadSocket.destroyed) return false;
      const message = { type: 'connection', id, facts: connection.facts } as const;
      channel.send(message, unreadSocket, { keepOpen: true }, () => {});
      whenCut.push(() => hear({ type: 'refused', id }));
      return true;
    },
    sendSocket(message) {
      const { id, answer } = message;
      if (!('address' in answer) || answer.fd === undefined) {
        send(message);
        return;
      }
      const { address } = answer;
      sendDescriptor({ type: 'socket', id, answer: { address } }, answer.fd, () =>
        send({ type: 'socket', id, answer: { code: 'EMFILE' } }),
      );
    },
    sendDump(message: DumpMessage, fd) {
      sendDescriptor(message, fd, () => hear({ type: 'answer', id: message.id, failure: noDescriptor }));
    },
    ...(!threads && {
      interrupt(question) {
        if (isStopped(pid)) return 'stopped';
        if (!heartbeat || heartbeat.isDebugged) return 'debugged';
        if (heartbeat.isSignalHandled) return 'signal';
        if (eventLoop.waits) return undefined; // it is about to answer, or waits in native code
        heartbeat.question = question;
        child.kill('SIGUSR1');
        return undefined;
      },
    }),
    setMayBlock(may) {
      mayBlock = may;
    },
    watch() {
      const { hangTimeout } = app.lifecycle;
      if (heartbeat && hangTimeout > 0) hang = watchProcess(pid, heartbeat, hangTimeout, () => mayBlock, kill);
      // It has no pool of connections to compete for, and workers that start can wait for it.
      if (options.once) schedule(pid, 'other');
    },
    kill,
  };
}

const causes: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGABRT: ', as Node ends itself when its heap is full (--node-arg=--max-old-space-size); its stderr says why',
};

/** Settles when it has exited and all that it had sent has been read: its last messages may come after its exit. */
function exitOf(child: ChildProcess, channel: IpcChannel): Promise<Pick<UnitExit, 'code' | 'signal'>> {
  return new Promise((resolve) => {
    child.once('exit', async (code, signal) => {
      if (channel.connected) await within(unreadMs, once(channel, 'disconnect'));
      setImmediate(resolve, { code, signal }); // what has come by then is read before
    });
  });
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
