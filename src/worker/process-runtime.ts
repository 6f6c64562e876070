// A worker process as its host reaches it: messages and connections over IPC, its hangs, and its end.
import type { ChildProcess, SendHandle } from 'node:child_process';
import { once } from 'node:events';
import { within } from '../clock.js';
import { HeartbeatFile } from '../hang/heartbeat.js';
import { type ProcessWatch, watchProcess } from '../hang/process-watch.js';
import { readLines } from '../log/lines.js';
import { availableResources } from '../os/cgroup.js';
import { ProcessEventLoop } from '../os/event-loop.js';
import type { IpcChannel } from '../os/ipc-channel.js';
import { guardChannel } from '../os/ipc-guard.js';
import { type SendableSocket, sendableSocket } from '../os/node-socket.js';
import { MemoryKills, preferToKill } from '../os/out-of-memory.js';
import { isStopped, unsharedMemory, wantedCpuMs } from '../os/process-tree.js';
import { schedule } from '../os/scheduling.js';
import { RareReport } from '../rare-report.js';
import { checkMessage, describeMessage } from './checked-messages.js';
import { type ForkedWorker, forkWorker, type ProcessOptions } from './fork.js';
import type { DumpMessage, FromWorker, ToWorker } from './messages.js';
import type { StartOptions, Unit, UnitExit } from './runtime.js';

/** How long a process may take to exit by itself, also where it has to wait for a processor (milliseconds). */
const exitGraceMs = 2000;
/** Messages that a process sent before its exit are read within this time, unless its channel is held open (milliseconds). */
const unreadMs = 500;
/** A process that has closed its channel is usually exiting, which may take this long (milliseconds). */
const exitWithoutChannelMs = 10_000;
/** Invalid messages are reported this often at most (milliseconds). */
const reportInvalidEveryMs = 10_000;
const mebi = 1024 ** 2;
const memoryKills = new MemoryKills();
/** Why a worker did not get a descriptor. */
const noDescriptor = 'it has no free file descriptor (ulimit -n)';
/** @throws StartupError when the system refuses another process, or the descriptors for it */
export function startProcess(options: ProcessOptions, start: StartOptions, maxConnections: number): Unit {
  const { accessLog, events } = options;
  const forked = forkWorker(options, start, maxConnections);
  const { child, pid, settings } = forked;
  forked.leash?.tie(pid);
  schedule(pid, 'batch');
  preferToKill(pid);
  const linesFrom = settings.loop.accessLog?.fd ?? -1;
  if (typeof accessLog === 'function') readLines(child.stdio[linesFrom], accessLog);
  for (const stream of ['stdout', 'stderr'] as const) {
    if (child[stream]) readLines(child[stream], (text) => events.tell({ event: 'output', pid, stream, text }));
  }
  return unitOf(forked, options, start.id);
}

function unitOf(forked: ForkedWorker, options: ProcessOptions, worker: number): Unit {
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

  let isKilled = false;
  const kill = (): void => {
    isKilled = true;
    child.kill('SIGKILL');
  };
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
    const isOutOfMemory = signal === 'SIGKILL' && !isKilled && memoryKills.takeOne();
    const why = isOutOfMemory ? lackOfMemory() : signal && (causes[signal] ?? '');
    const reason = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}${why}`;
    const cause: UnitExit['cause'] =
      stillMs !== undefined ? 'hang' : signal === 'SIGABRT' || isOutOfMemory ? 'out-of-memory' : undefined;
    return { code, signal, reason, cause, requests };
  });

  return {
    pid,
    tid: 0,
    exitGraceMs,
    exited,
    accepted: 0,
    get memory() {
      return unsharedMemory(pid);
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

/** `probably`: the kernel counts its kills, and does not say which process they were. */
function lackOfMemory(): string {
  const { memory } = availableResources();
  const limit =
    memory < Number.POSITIVE_INFINITY ? `the limit of the container is ${Math.round(memory / mebi)} MiB; ` : '';
  return `, probably by the kernel for lack of memory; ${limit}raise it, have fewer --workers, or replace those that grow (--max-memory)`;
}

/** Settles when it has exited and all that it had sent has been read: its last messages may come after its exit. */
function exitOf(child: ChildProcess, channel: IpcChannel): Promise<Pick<UnitExit, 'code' | 'signal'>> {
  return new Promise((resolve) => {
    child.once('exit', async (code, signal) => {
      if (channel.connected) await within(unreadMs, once(channel, 'disconnect'));
      setImmediate(resolve, { code, signal }); // what has come by then is read before
    });
  });
}
