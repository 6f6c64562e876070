// All internals of Node's sockets that mpserve depends on: the descriptor of a socket and its kind, a socket that does not
// read yet, a listening socket as a message, and whether the parser of an http.Server is between two requests.
// `unsupportedInternals` checks them on the running Node.
import type { Server } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { duplicate, socketPair } from './descriptor.js';

/** The descriptor of a connected socket; undefined once it is closed. Node keeps it in a private field. */
export function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as { _handle: { fd?: number } | null })._handle;
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** Whether it is a Unix socket; false once it is closed. Node has handles of another class for them. */
export function isUnixSocket(socket: Socket): boolean {
  return (socket as unknown as { _handle: object | null })._handle?.constructor.name === 'Pipe';
}

/**
 * Detaches a connection from Node: duplicates the descriptor and destroys `socket`, which sends nothing.
 * @returns the duplicate, which the caller owns; undefined if the socket was closed already
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
 * A socket for a connected descriptor, which it owns from now on.
 * @param isPaused does not read, as the connection goes to another process (an undocumented option of Node)
 */
export function socketFromFd(fd: number, isPaused = false): Socket {
  const options = { fd, readable: true, writable: true, allowHalfOpen: true, pauseOnCreate: isPaused };
  return new Socket(options as SocketConstructorOpts);
}

/** A listening socket in the form in which Node passes it to another process. */
export interface SendableSocket {
  /** For `ChildProcess#send()`. */
  readonly handle: unknown;
  /** To be called when it has been sent. */
  close(): void;
}

/** @param fd of a listening socket; stays the caller's. @throws SystemCallError (EMFILE) */
export function sendableSocket(fd: number): SendableSocket {
  const socket = socketFromFd(duplicate(fd), true); // it reads nothing, so Node never polls it
  const { _handle: handle } = socket as unknown as { _handle: unknown };
  return { handle, close: () => socket.destroy() };
}

/** @param handle what Node has made of a socket from another process. @returns its descriptor, which the caller owns */
export function takeDescriptor(handle: unknown): number {
  const { fd, close } = handle as { readonly fd: number; close(): void };
  try {
    return duplicate(fd);
  } finally {
    close.call(handle);
  }
}

/**
 * Reads nothing from a socket that has come from another process. Call it in the turn in which the socket has come, when
 * Node has begun to read and has read nothing. @returns a function that reads again
 */
export function holdReading(socket: Socket): () => void {
  const { _handle: handle } = socket as unknown as { _handle: { reading: boolean; readStop(): void } | null };
  if (!handle) return () => {};
  handle.reading = false;
  handle.readStop();
  return () => socket._read(0);
}

/**
 * The sockets whose parsers have read no byte since the last request ended. Node knows this of each parser, but has no API
 * for it except `closeIdleConnections`: this calls it, and collects the sockets that it would destroy. The call is
 * synchronous, so no other code runs meanwhile.
 */
export function idleSockets(server: Pick<Server, 'closeIdleConnections'>): ReadonlySet<Socket> {
  const idle = new Set<Socket>();
  const prototype = Socket.prototype;
  // Socket inherits `destroy` from streams, but a library may have patched it.
  const own = Object.getOwnPropertyDescriptor(prototype, 'destroy');
  Object.defineProperty(prototype, 'destroy', {
    configurable: true,
    value(this: Socket) {
      idle.add(this);
      return this;
    },
  });
  try {
    server.closeIdleConnections();
  } finally {
    if (own) Object.defineProperty(prototype, 'destroy', own);
    else delete (prototype as Partial<Socket>).destroy;
  }
  return idle;
}

/** Turns of the event loop that a check may take. */
const maxTurns = 1000;

/** Tries all of the above on this Node. @returns the first difference, for the log; undefined if it is supported */
export async function unsupportedInternals(): Promise<string | undefined> {
  // Not `import`, which reads each export and so loads undici (35 ms on Node 26).
  const { createServer } = process.getBuiltinModule('node:http');
  const [serverFd, clientFd] = socketPair();
  const [pausedFd, talkerFd] = socketPair();
  const socket = socketFromFd(serverFd);
  const client = socketFromFd(clientFd);
  const paused = socketFromFd(pausedFd, true);
  const talker = socketFromFd(talkerFd);
  const server = createServer((_, response) => response.end());
  const nextTurn = () => new Promise((next) => setImmediate(next));
  const becomes = async (is: () => boolean): Promise<boolean> => {
    for (let turns = 0; turns < maxTurns && !is(); turns++) await nextTurn();
    return is();
  };
  try {
    server.emit('listening');
    if (descriptorOf(socket) !== serverFd) return 'a socket does not expose its descriptor';
    if (!isUnixSocket(socket)) return 'a Unix socket does not expose that it is one';
    server.emit('connection', socket);
    talker.write('x');
    client.write('GET / HTTP/1.1\r\nhost: x\r\n');
    if (!(await becomes(() => socket.bytesRead > 0))) return 'a socket does not count the bytes it has read';
    if (idleSockets(server).has(socket)) return 'a parser counts as idle in the middle of a request';
    client.write('\r\n');
    let answer = '';
    client.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    if (!(await becomes(() => answer.includes('\r\n\r\n')))) return 'a connection from a descriptor gets no response';
    if (!(await becomes(() => idleSockets(server).has(socket)))) return 'a parser never counts as idle';
    if (socket.destroyed) return 'an idle connection was closed';
    if (paused.bytesRead > 0) return 'a paused socket has read';
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    for (const one of [socket, client, paused, talker]) one.destroy();
    server.close(() => {});
  }
}
