// A worker process: the channel to the supervisor is a descriptor that it inherits.
import { closeSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { ignoreSignal } from '../app/close-app.js';
import { IncomingConnection } from '../connection/incoming.js';
import { onBlockedProcess } from '../hang/hang-report.js';
import { HeartbeatFile } from '../hang/heartbeat.js';
import { mapJournal, regionAt } from '../inflight/regions.js';
import { partOf } from '../memory/parts.js';
import { mapAlone, mapServerMemory } from '../memory/server-memory.js';
import { openChannel } from '../os/ipc-channel.js';
import type { SystemCallError } from '../os/libc.js';
import { holdReading, takeDescriptor } from '../os/node-socket.js';
import type { SecondaryAnswer } from '../secondary/address.js';
import { WorkerMain } from './main.js';
import type { DumpMessage, FromWorker, Handed, ToWorker } from './messages.js';
import { channelDescriptor, settingsDescriptor, type WorkerSettings } from './settings.js';
import type { Shared } from './thread-host.js';

/** By then the workers that have started with this one are ready, too (milliseconds). Until then a record is a write(2). */
const mapAfterMs = 100;
/** After it could not be mapped (milliseconds). */
const mapAgainMs = 1000;

const settings: WorkerSettings = JSON.parse(readFileSync(settingsDescriptor, 'utf8'));
closeSync(settingsDescriptor);

if (settings.umask !== undefined) process.umask(settings.umask);

const channel = openChannel(channelDescriptor);
const say = (message: FromWorker, sent?: () => void): void => {
  // Without a channel there is no supervisor, and 'disconnect' has ended this process.
  if (channel.connected) channel.send(message, () => sent?.());
};

const { loop, journal, memory, cacheMemory, slots, threads, heartbeat } = settings;
const heartbeatFile = heartbeat && new HeartbeatFile(heartbeat);

const main: WorkerMain = new WorkerMain({
  settings: loop,
  tid: 0,
  threads,
  makeService:
    threads &&
    (async (options) => {
      const shared = await share(options.memory, options.cacheMemory);
      if (threads.takesRequests) {
        const { RequestHost } = await import('./request-host.js');
        return new RequestHost(options, settings, threads, shared);
      }
      const { ThreadHost } = await import('./thread-host.js');
      return new ThreadHost(settings, threads, main.tell, main.sockets, shared);
    }),
  // The threads of a host have their own.
  journal: journal && !threads ? { region: regionAt(journal, 0) } : undefined,
  memory: () => (memory === undefined ? undefined : mapServerMemory(memory)),
  cacheMemory: () => cacheMemory && mapAlone(cacheMemory.fd, cacheMemory.bytes),
  slot: slots && { index: slots.first, isShared: false },
  say,
  onReady: (writer) => {
    // A worker for one connection does not live long enough for it.
    if (!journal || !writer || loop.once) return;
    const map = (): void => {
      try {
        writer.map(mapJournal(journal));
      } catch {
        setTimeout(map, mapAgainMs).unref(); // clients may have all descriptors, and koffi is a file
      }
    };
    setTimeout(map, mapAfterMs).unref();
  },
  beat:
    heartbeatFile &&
    ((dueBy) => {
      heartbeatFile.dueBy = dueBy;
    }),
});
if (heartbeatFile) onBlockedProcess(heartbeatFile, main);

channel.on('message', (raw, socket) => {
  const message = raw as ToWorker;
  if (message.type === 'connection') {
    if (socket) void serve(message, socket as Socket);
  } else if (message.type === 'socket') main.handle({ ...message, answer: withDescriptor(message.answer, socket) });
  else if (message.type === 'dump') {
    // Without a descriptor the supervisor learns from Node that it was cut off the message.
    if (socket) takeDump(message, socket);
  } else main.handle(message);
});
channel.once('disconnect', () => process.exit(1)); // the supervisor is gone
process.on('SIGTERM', ignoreSignal);
process.on('SIGINT', ignoreSignal);
// Where threads accept, this process does not.
main.start(threads && !threads.hostAccepts ? [] : (settings.listen[0] ?? []));

/** For the host of threads. @param memory that all event loops of the server share */
async function share(
  memory: SharedArrayBuffer | undefined,
  cacheMemory: SharedArrayBuffer | undefined,
): Promise<Shared> {
  if (!memory || !loop.counts) return { memory, cacheMemory, counters: undefined };
  const { Counters } = await import('../metrics/counters.js');
  return { memory, cacheMemory, counters: new Counters(partOf(memory, 'counters'), undefined) };
}

/** @param handle the socket that came beside the answer, if any */
function withDescriptor(answer: SecondaryAnswer, handle: unknown): SecondaryAnswer {
  if (!handle || !('address' in answer)) return answer;
  try {
    return { ...answer, fd: takeDescriptor(handle) };
  } catch (error) {
    return { code: (error as SystemCallError).code };
  }
}

/** @param handle the socket that came beside the message */
function takeDump(message: DumpMessage, handle: unknown): void {
  try {
    main.handle({ ...message, fd: takeDescriptor(handle) });
  } catch (error) {
    say({ type: 'answer', id: message.id, failure: (error as SystemCallError).message });
  }
}

/** Says `taken` or `refused`, then `ended`. */
async function serve({ id, facts }: Handed, socket: Socket): Promise<void> {
  socket.on('error', () => {}); // its client may reset it before the app has loaded
  // A client may send its request and the end of its side before the app has loaded. Read at once, the end would reach
  // Node's HTTP server together with the request, and it would cut the answer of an app that does not answer at once.
  const read = holdReading(socket);
  const connection = new IncomingConnection(socket, facts);
  if (main.isLeaving) {
    connection.close(); // our copy; the supervisor has kept its own
    say({ type: 'refused', id });
    return;
  }
  await main.serve(id, connection, () => {
    say({ type: 'taken', id });
    read();
    return true;
  });
}
