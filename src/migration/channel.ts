// Where connections change hands, between workers, threads and whole servers: a listening Unix socket that has no name
// any more, so that only a process that has inherited its descriptors can connect to it. A worker that gives a connection
// away connects and sends the descriptor (SCM_RIGHTS, cmsg(3)); a receiver accepts there, as at any other door. A message
// waits in the kernel, and is not lost with the worker that sent it.
// A semaphore (eventfd(2)) counts how many are wanted: until there is a seat, the one who has a connection serves it on.
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { arch, platform } from 'node:process';
import { closeDescriptor, duplicate, isConnection, isReadable } from '../os/descriptor.js';
import { checked, libc, type SystemCallError } from '../os/libc.js';
import { descriptorOf, socketOn } from '../os/node-socket.js';

/** How to get there, as plain data. */
export interface Relay {
  /** Of the listening socket, for those who take connections. */
  readonly fd: number;
  readonly seats: number;
  /** Counts the connections that have changed hands; absent where an older server opened the relay. */
  readonly moves?: number;
  /** Of the file that the socket had (O_PATH): a process that has this descriptor can connect, and no other. */
  readonly entrance: number;
}

/** The process at the other end of a message (SO_PEERCRED, unix(7)). */
export interface Sender {
  readonly pid: number;
  readonly uid: number;
}

/** Elsewhere connections are not carried over; the structures below are those of these systems. */
export const hasRelay = platform === 'linux' && (arch === 'x64' || arch === 'arm64');

const AF_UNIX = 1;
/** socket(2), with SOCK_CLOEXEC and SOCK_NONBLOCK. */
const SOCK_STREAM = 1 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_PEERCRED = 17;
const SHUT_RD = 0;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
const MSG_CTRUNC = 8;
const MSG_CMSG_CLOEXEC = 0x40000000;
const O_PATH = 0o10000000;
const EFD_COUNTER = 0o2000000 | 0o4000; // EFD_CLOEXEC, EFD_NONBLOCK
const EFD_SEMAPHORE = 1;

/** Letters that may lie in front of the door; the seats keep them fewer. */
export const relayBacklog = 128;
/** So often, and so many milliseconds apart, a letter is looked at in which there is nothing. */
const mostLooks = 500;
const lookMs = 2;
/** The number of requests that were answered on the connection. */
const bodyBytes = 4;
/** Where there is no other place to write, as in a container of which the files cannot be changed, there is the first. */
const folders = ['/dev/shm', tmpdir()];
/** While there is no seat, it is asked for one again so much later (milliseconds). */
export const seatMs = 2;

/**
 * The socket gets a file in a folder that its owner alone may enter, and loses it before anybody else could connect.
 * @throws SystemCallError (EMFILE), Error where there is no folder for it
 */
export function openRelay(): Relay {
  const { socket, listen, eventfd } = libc();
  if (!hasRelay || !eventfd) throw new Error('connections can be carried over on Linux only');
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    const fd = keep(checked('socket', socket(AF_UNIX, SOCK_STREAM, 0)));
    const entrance = keep(bindNameless(fd));
    checked('listen', listen(fd, relayBacklog));
    const seats = keep(checked('eventfd', eventfd(0, EFD_SEMAPHORE | EFD_COUNTER)));
    const moves = checked('eventfd', eventfd(0, EFD_COUNTER));
    return { fd, entrance, seats, moves };
  } catch (error) {
    for (const fd of opened) closeDescriptor(fd);
    throw error;
  }
}

/** @returns the descriptor by which it can be reached */
function bindNameless(fd: number): number {
  let failure: unknown;
  for (const parent of folders) {
    try {
      const folder = mkdtempSync(path.join(parent, 'mpserve-')); // mode 0700
      const file = path.join(folder, 'relay');
      try {
        const address = addressOf(file);
        checked('bind', libc().bind(fd, address, address.length));
        chmodSync(file, 0o666); // workers may have another user; to come here at all takes the descriptor
        return openSync(file, O_PATH);
      } finally {
        if (existsSync(file)) unlinkSync(file);
        rmdirSync(folder);
      }
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

export function closeRelay({ fd, seats, moves, entrance }: Relay): void {
  closeDescriptor(fd);
  closeDescriptor(seats);
  if (moves !== undefined) closeDescriptor(moves);
  closeSync(entrance); // as it was opened
}

/** Of connections that have come over a relay, the requests that were answered on them before. */
const histories = new WeakMap<Socket, number>();

/** It has not come from its client, but over a relay. */
export function isCarried(socket: Socket): boolean {
  return histories.has(socket);
}

/** Requests that were answered on it before it was carried over to us; 0 for one that comes from its client. */
export function requestsBefore(socket: Socket): number {
  return histories.get(socket) ?? 0;
}

export function noteRequests(socket: Socket, requests: number): Socket {
  histories.set(socket, requests);
  return socket;
}

/** Says that so many connections more could be taken. */
export function offerSeats({ seats }: Relay, count: number): void {
  if (count > 0) add(seats, count);
}

/** To the counter of an eventfd. */
function add(eventfd: number, count: number): void {
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(count));
  try {
    writeSync(eventfd, value);
  } catch {} // EAGAIN: a worker has written there what it should not, and it can count no further
}

/**
 * Says how many connections have changed hands at this relay, whoever gave them and whoever took them, so that one who
 * still waits for a seat can tell a slow migration from one that has stopped. undefined where that is not known.
 */
export function movesOf({ moves }: Relay): string | undefined {
  if (moves === undefined) return undefined;
  try {
    // To read the eventfd itself would reset it for all (proc(5), "fdinfo").
    return /^eventfd-count:\s*(\w+)/m.exec(readFileSync(`/proc/self/fdinfo/${moves}`, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

/** Takes one of the seats. @returns false when there is none */
export function takeSeat({ seats }: Relay): boolean {
  try {
    readSync(seats, Buffer.alloc(8));
    return true;
  } catch {
    return false; // EAGAIN: nobody wants a connection now
  }
}

/**
 * Sends the connection behind `fd` away, for which a seat has been taken; the descriptor stays the caller's, to be closed.
 * @param requests that have been answered on it
 * @returns `full` when nobody could take it now, `gone` when nobody ever will
 */
export function post(relay: Relay, fd: number, requests: number): 'posted' | 'full' | 'gone' {
  const { socket, connect } = libc();
  const letter = socket(AF_UNIX, SOCK_STREAM, 0);
  if (letter < 0) {
    offerSeats(relay, 1);
    return 'full'; // no descriptor is left; there may be one later
  }
  try {
    const address = addressOf(`/proc/self/fd/${relay.entrance}`);
    checked('connect', connect(letter, address, address.length));
    // Whoever had accepted it and lost patience offers its seat anew.
    if (!send(letter, fd, requests)) return 'full';
    if (relay.moves !== undefined) add(relay.moves, 1);
    return 'posted';
  } catch (error) {
    if ((error as SystemCallError).code !== 'EAGAIN') return 'gone';
    offerSeats(relay, 1);
    return 'full';
  } finally {
    closeDescriptor(letter);
  }
}

/** Puts it into a letter that is on its way. @returns false when nobody reads that any more */
export function send(letter: number, fd: number, requests: number): boolean {
  const envelope = new Envelope();
  envelope.enclose(fd, requests);
  return libc().sendmsg(letter, envelope.header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/**
 * As `post`, as soon as there is a seat, and as long as `isWanted`.
 * @returns whether it has been sent
 */
export async function postWhen(isWanted: () => boolean, relay: Relay, fd: number, requests: number): Promise<boolean> {
  while (isWanted()) {
    const outcome = takeSeat(relay) ? post(relay, fd, requests) : 'full';
    if (outcome !== 'full') return outcome === 'posted';
    await new Promise((later) => setTimeout(later, seatMs));
  }
  return false;
}

/** The same for a socket, of which nothing has been read here; it is closed here in any case. */
export async function giveAway(socket: Socket, relay: Relay | undefined, isWanted: () => boolean): Promise<boolean> {
  const fd = descriptorOf(socket);
  const isGiven = relay && fd !== undefined && (await postWhen(isWanted, relay, fd, requestsBefore(socket)));
  socket.destroy();
  return isGiven ?? false;
}

/** The same relay, with a door that belongs to whoever accepts there. @throws SystemCallError (EMFILE) */
export function doorOf(relay: Relay | undefined): Relay | undefined {
  return relay && { ...relay, fd: duplicate(relay.fd) };
}

/** What was in a letter: a connection, nothing at all, or what none of ours sends. */
export type Received = { readonly socket: Socket } | 'nothing' | { readonly refused: Sender };

/**
 * Opens a letter that has been accepted. It may be empty, and stay so: no event loop waits for what is in it.
 * @returns a function that ends the waiting at once, for who is about to go: until then what is sent could be lost
 */
export function receive(letter: Socket, isPaused: boolean, onReceived: (received: Received) => void): () => void {
  const fd = descriptorOf(letter);
  let looks = 0;
  let later: NodeJS.Timeout | undefined;
  const conclude = (): void => {
    clearTimeout(later);
    if (letter.destroyed) return;
    // From now on its sender's message fails, and he keeps what he has; what was sent before is still there.
    if (fd !== undefined) libc().shutdown(fd, SHUT_RD);
    const received = fd === undefined ? 'nothing' : open(fd, isPaused);
    letter.destroy();
    onReceived(received);
  };
  const look = (): void => {
    // Its sender is between two calls to the system.
    if (fd !== undefined && !isReadable(fd) && looks++ < mostLooks) later = setTimeout(look, lookMs);
    else conclude();
  };
  look();
  return conclude;
}

/** Takes one descriptor and closes it unless it is a connection; of others the kernel lets go. */
function open(letter: number, isPaused: boolean): Received {
  const envelope = new Envelope();
  const length = libc().recvmsg(letter, envelope.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length <= 0) return 'nothing';
  const enclosed = envelope.enclosed();
  if (enclosed === undefined) return { refused: senderOf(letter) };
  if (length === bodyBytes && !envelope.isCut && isConnection(enclosed)) {
    return { socket: noteRequests(socketOn(enclosed, isPaused), envelope.requests) };
  }
  closeDescriptor(enclosed);
  return { refused: senderOf(letter) };
}

function senderOf(letter: number): Sender {
  const credentials = Buffer.alloc(12); // struct ucred: pid, uid, gid
  const size = Buffer.alloc(4);
  size.writeUInt32LE(credentials.length);
  libc().getsockopt(letter, SOL_SOCKET, SO_PEERCRED, credentials, size);
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
}

/** struct msghdr and what it points to, for one descriptor. */
class Envelope {
  readonly header = Buffer.alloc(56);
  /** With room for a byte more, so that a longer message is known by it. */
  readonly #body = Buffer.alloc(bodyBytes + 1);
  readonly #vector = Buffer.alloc(16);
  /** struct cmsghdr (length, level, type), then the descriptor. In the four bytes up to its alignment there would be room
   * for a second one. */
  readonly #control = Buffer.alloc(20);

  constructor() {
    const { address } = libc();
    this.#vector.writeBigUInt64LE(address(this.#body), 0);
    this.#vector.writeBigUInt64LE(BigInt(this.#body.length), 8);
    this.header.writeBigUInt64LE(address(this.#vector), 16);
    this.header.writeBigUInt64LE(1n, 24);
    this.header.writeBigUInt64LE(address(this.#control), 32);
    this.header.writeBigUInt64LE(BigInt(this.#control.length), 40);
  }

  enclose(fd: number, requests: number): void {
    this.#body.writeUInt32LE(requests);
    this.#vector.writeBigUInt64LE(BigInt(bodyBytes), 8);
    this.#control.writeBigUInt64LE(BigInt(this.#control.length), 0);
    this.#control.writeInt32LE(SOL_SOCKET, 8);
    this.#control.writeInt32LE(SCM_RIGHTS, 12);
    this.#control.writeInt32LE(fd, 16);
  }

  get requests(): number {
    return this.#body.readUInt32LE();
  }

  /** More descriptors were sent than there is room for. */
  get isCut(): boolean {
    return (this.header.readInt32LE(48) & MSG_CTRUNC) !== 0;
  }

  enclosed(): number | undefined {
    return this.#control.readInt32LE(12) === SCM_RIGHTS ? this.#control.readInt32LE(16) : undefined;
  }
}

/** struct sockaddr_un. */
function addressOf(file: string): Buffer {
  const address = Buffer.alloc(3 + Buffer.byteLength(file));
  address.writeUInt16LE(AF_UNIX);
  address.write(file, 2);
  return address;
}
