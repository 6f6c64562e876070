// Plays a script to a server and returns each byte that came back, but for what differs from run to run.
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { within } from '../helpers/eventually.js';
import { connectOptions } from '../helpers/wire.js';
import type { Script } from './mutator.js';

/** How long a client that ends late waits for the first byte of an answer, which may not come (milliseconds). */
const lateMs = 30;

/**
 * The server had closed the connection before the client had sent all: Node drops what the socket has received by then, and
 * not yet read, when a write fails.
 */
export const cutWhileSending = 'cut while sending';

/** What the client has received until the server ended the connection, or reset it. */
export async function play(url: string, { pieces, pauseMs, endsLate }: Script): Promise<string> {
  const socket = net.connect({ ...connectOptions(url), noDelay: true, allowHalfOpen: true } as net.NetConnectOpts);
  const received: Buffer[] = [];
  let wasReset = false;
  let wasCut = false;
  socket.on('data', (data) => received.push(data));
  socket.on('error', ({ syscall }: NodeJS.ErrnoException) => {
    wasReset = true;
    wasCut = syscall === 'write' && received.length === 0;
  });
  const ended = new Promise<void>((resolve) => {
    for (const event of ['end', 'close']) socket.once(event, resolve);
  });
  try {
    await within(`a connection to ${url}`, once(socket, 'connect'));
    for (const piece of pieces) {
      if (!socket.writable) break;
      socket.write(piece);
      if (pieces.length > 1) await (pauseMs > 0 ? pause(pauseMs) : new Promise((next) => setImmediate(next)));
    }
    if (endsLate && received.length === 0) await Promise.race([once(socket, 'data'), ended, pause(lateMs)]);
    if (endsLate) await pause(pauseMs);
    socket.end();
    await within(`the end of ${url}`, ended);
  } catch (error) {
    if (!wasReset) throw error;
  } finally {
    socket.destroy();
  }
  return wasCut ? cutWhileSending : normalized(Buffer.concat(received).toString('latin1'));
}

/** Without the time and our request ids; the request's own id is in the body of the answer. */
function normalized(text: string): string {
  return text
    .replace(/\r\nDate: [^\r]*/g, '\r\nDate: now')
    .replace(/(HTTP\/1\.1 [^\r]*)\r\nx-request-id: [^\r]*/g, '$1');
}
