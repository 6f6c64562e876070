// Writes a CPU profile or a heap snapshot of this event loop to a socket. Loaded only for that.
import { Session } from 'node:inspector';
import { pipeline } from 'node:stream/promises';
import { getHeapSnapshot } from 'node:v8';
import { socketFromFd } from '../os/node-socket.js';
import type { DumpOrder } from './messages.js';

/** @param fd of a connected socket, which is closed at the end. @returns why it could not be written; never rejects */
export async function writeDump({ kind, ms }: DumpOrder, fd: number): Promise<string | undefined> {
  const socket = socketFromFd(fd);
  const gone = new AbortController();
  // Nothing comes but the end: the supervisor wants no more.
  socket.on('error', () => {}).once('end', () => socket.destroy());
  socket.once('close', () => gone.abort()).resume();
  try {
    if (kind === 'profile') await pipeline([await profile(ms, gone.signal)], socket);
    else await pipeline(getHeapSnapshot(), socket);
    return undefined;
  } catch (error) {
    return gone.signal.aborted ? 'its reader has gone' : (error as Error).message;
  } finally {
    socket.destroy();
  }
}

/** @returns it as JSON, of a shorter time once `signal` is aborted */
async function profile(ms: number, signal: AbortSignal): Promise<string> {
  const session = new Session();
  session.connect();
  try {
    await post(session, 'Profiler.enable');
    await post(session, 'Profiler.start');
    await until(ms, signal);
    const { profile } = (await post(session, 'Profiler.stop')) as { profile: object };
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}

function post(session: Session, method: string): Promise<object | undefined> {
  return new Promise((done, failed) => {
    session.post(method, (error, result) => (error ? failed(error) : done(result)));
  });
}

function until(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      done();
    });
  });
}
