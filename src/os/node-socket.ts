// What carrying connections over needs of Node's sockets and does not find in its documentation: the descriptor behind
// one, one that does not read yet, and whether the parser of an http.Server is between two requests. All of it is here,
// so that there is one place to look when a Node changes, and `whatIsUnexpected` tries it all on the Node that runs.
import type { Server } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { duplicate, socketPair } from './descriptor.js';

/** The descriptor behind a connected socket, or undefined once it is closed. Node keeps it in a private field. */
export function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as { _handle: { fd?: number } | null })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/**
 * Takes a connection out of Node's hands: a descriptor of it that belongs to the caller; `socket` is destroyed, which
 * closes one of two descriptors and sends nothing. undefined if it was closed already.
 * @throws SystemCallError (EMFILE); then the connection is closed
 */
export function detach(socket: Socket): number | undefined {
  try {
    const fd = descriptorOf(socket);
    return fd === undefined ? undefined : duplicate(fd);
  } finally {
    socket.destroy();
  }
}

/**
 * A socket for a connected descriptor, which belongs to it from now on.
 * @param isPaused it leaves what comes unread, for it is handed on. The option is Node's own
 */
export function socketOn(fd: number, isPaused = false): Socket {
  const options = { fd, readable: true, writable: true, allowHalfOpen: true, pauseOnCreate: isPaused };
  return new Socket(options as SocketConstructorOpts);
}

/**
 * The sockets on whose connections the parser of `server` has read no byte since the last request ended. Node knows that
 * of each parser and tells nobody, but closes such connections when it is asked to: so it is asked, and what it would
 * close is noted instead. It does so before it returns, and nothing else runs meanwhile.
 */
export function restingIn(server: Pick<Server, 'closeIdleConnections'>): ReadonlySet<Socket> {
  const resting = new Set<Socket>();
  const prototype = Socket.prototype;
  // Socket has none of its own, but inherits that of streams; somebody may have given it one.
  const own = Object.getOwnPropertyDescriptor(prototype, 'destroy');
  Object.defineProperty(prototype, 'destroy', {
    configurable: true,
    value(this: Socket) {
      resting.add(this);
      return this;
    },
  });
  try {
    server.closeIdleConnections();
  } finally {
    if (own) Object.defineProperty(prototype, 'destroy', own);
    else delete (prototype as Partial<Socket>).destroy;
  }
  return resting;
}

/** Tries all of the above. @returns what is not as it was in the versions of Node that we know, in words; or undefined */
export async function whatIsUnexpected(): Promise<string | undefined> {
  // Not by `import`, which reads each export and so loads undici (35 ms on Node 26).
  const { createServer } = process.getBuiltinModule('node:http');
  const [ours, theirs] = socketPair();
  const [idle, quiet] = socketPair();
  const socket = socketOn(ours);
  const client = socketOn(theirs);
  const paused = socketOn(idle, true);
  const talker = socketOn(quiet);
  const server = createServer((_, response) => response.end());
  const turn = () => new Promise((next) => setImmediate(next));
  const until = async (is: () => boolean): Promise<boolean> => {
    for (let turns = 0; turns < 1000 && !is(); turns++) await turn();
    return is();
  };
  try {
    server.emit('listening');
    if (descriptorOf(socket) !== ours) return 'a socket does not tell its descriptor';
    server.emit('connection', socket);
    talker.write('x');
    client.write('GET / HTTP/1.1\r\nhost: x\r\n');
    if (!(await until(() => socket.bytesRead > 0))) return 'a socket does not tell how much it has read';
    if (restingIn(server).has(socket)) return 'a parser is at rest in the middle of a request';
    client.write('\r\n');
    let answer = '';
    client.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    if (!(await until(() => answer.includes('\r\n\r\n')))) return 'a connection that was adopted is not answered';
    if (!(await until(() => restingIn(server).has(socket)))) return 'a parser is never at rest';
    if (socket.destroyed) return 'a connection was closed that should have been counted';
    if (paused.bytesRead > 0) return 'a socket that should wait has read';
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    for (const one of [socket, client, paused, talker]) one.destroy();
    server.close(() => {});
  }
}
