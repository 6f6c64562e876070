// Where connections change hands, between workers, threads and whole servers: a listening Unix socket without a file
// (unix(7), "abstract"). Who gives a connection away connects to it and sends the descriptor (SCM_RIGHTS, cmsg(3)); who
// takes connections accepts there, as at any other door. What is on its way waits in the kernel and dies with nobody.
// A semaphore (eventfd(2)) counts how many are wanted: until there is a seat, the one who has a connection serves it on.
import { readFileSync, readSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { arch, platform } from 'node:process';
import { closeDescriptor, duplicate, isReadable } from './descriptor.js';
import { checked, libc, type SystemCallError } from './libc.js';
import { descriptorOf, socketOn } from './node-socket.js';

/** How to get there, as plain data. */
export interface Relay {
  /** Of the listening socket, for those who take connections. */
  readonly fd: number;
  readonly seats: number;
  /** Counts the connections that have changed hands; absent where an older server opened the relay. */
  readonly moves?: number;
  readonly name: string;
  /** Known to the workers of one server alone: other users of the machine can connect as well. */
  readonly secret: string;
}

/** Elsewhere connections are not carried over; the structures below are those of these systems. */
export const hasRelay = platform === 'linux' && (arch === 'x64' || arch === 'arm64');

const AF_UNIX = 1;
/** socket(2), with SOCK_CLOEXEC and SOCK_NONBLOCK. */
const SOCK_STREAM = 1 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SHUT_RD = 0;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const EFD_COUNTER = 0o2000000 | 0o4000; // EFD_CLOEXEC, EFD_NONBLOCK
const EFD_SEMAPHORE = 1;

/** Letters that may lie in front of the door; the seats keep them fewer. */
export const relayBacklog = 128;
/** So often, and so many milliseconds apart, a letter is looked at in which there is nothing. */
const mostLooks = 500;
const lookMs = 2;
/** Not imported: each child of ppc and thread of tpc would pay for it, and few of them ever need it. */
const crypto = () => process.getBuiltinModule('node:crypto');
const secretBytes = 16;
/** While there is no seat, it is asked for one again so much later (milliseconds). */
export const seatMs = 2;

/** @throws SystemCallError (EMFILE) */
export function openRelay(): Relay {
  const { socket, bind, listen, eventfd } = libc();
  if (!hasRelay || !eventfd) throw new Error('connections can be carried over on Linux only');
  const { randomBytes } = crypto();
  const name = `mpserve-${randomBytes(12).toString('hex')}`;
  const fd = checked('socket', socket(AF_UNIX, SOCK_STREAM, 0));
  try {
    const address = addressOf(name);
    checked('bind', bind(fd, address, address.length));
    checked('listen', listen(fd, relayBacklog));
    const seats = checked('eventfd', eventfd(0, EFD_SEMAPHORE | EFD_COUNTER));
    const moves = checked('eventfd', eventfd(0, EFD_COUNTER));
    return { fd, seats, moves, name, secret: randomBytes(secretBytes).toString('hex') };
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

export function closeRelay({ fd, seats, moves }: Relay): void {
  closeDescriptor(fd);
  closeDescriptor(seats);
  if (moves !== undefined) closeDescriptor(moves);
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
  writeSync(eventfd, value);
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
    const address = addressOf(relay.name);
    checked('connect', connect(letter, address, address.length));
    // Whoever had accepted it and lost patience offers its seat anew.
    if (!send(letter, relay, fd, requests)) return 'full';
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
export function send(letter: number, relay: Relay, fd: number, requests: number): boolean {
  const envelope = new Envelope();
  Buffer.from(relay.secret, 'hex').copy(envelope.body);
  envelope.body.writeUInt32LE(requests, secretBytes);
  envelope.enclose(fd);
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

/**
 * Opens a letter that has been accepted. Anybody on this machine may have sent it, also an empty one: nobody waits for
 * what is in it but a timer.
 * @param onConnection called with the connection; undefined when there is none that is from one of us
 * @returns a function that ends the waiting at once, for who is about to go: until then what is sent could be lost
 */
export function receive(
  relay: Relay,
  letter: Socket,
  isPaused: boolean,
  onConnection: (socket: Socket | undefined) => void,
): () => void {
  const fd = descriptorOf(letter);
  let looks = 0;
  let later: NodeJS.Timeout | undefined;
  const conclude = (): void => {
    clearTimeout(later);
    if (letter.destroyed) return;
    // From now on its sender's message fails, and he keeps what he has; what was sent before is still there.
    if (fd !== undefined) libc().shutdown(fd, SHUT_RD);
    const socket = fd === undefined ? undefined : open(relay, fd, isPaused);
    letter.destroy();
    onConnection(socket);
  };
  const look = (): void => {
    // Its sender is between two calls to the system.
    if (fd !== undefined && !isReadable(fd) && looks++ < mostLooks) later = setTimeout(look, lookMs);
    else conclude();
  };
  look();
  return conclude;
}

function open(relay: Relay, letter: number, isPaused: boolean): Socket | undefined {
  const envelope = new Envelope();
  const length = libc().recvmsg(letter, envelope.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const enclosed = length < 0 ? undefined : envelope.enclosed();
  if (enclosed === undefined) return undefined;
  const isOurs =
    length === envelope.body.length &&
    crypto().timingSafeEqual(envelope.body.subarray(0, secretBytes), Buffer.from(relay.secret, 'hex'));
  if (isOurs) return noteRequests(socketOn(enclosed, isPaused), envelope.body.readUInt32LE(secretBytes));
  closeDescriptor(enclosed);
  return undefined;
}

/** struct msghdr and what it points to, for one descriptor. */
class Envelope {
  readonly body = Buffer.alloc(secretBytes + 4);
  readonly header = Buffer.alloc(56);
  readonly #vector = Buffer.alloc(16);
  /** struct cmsghdr: length, level, type; then the descriptor. */
  readonly #control = Buffer.alloc(24);

  constructor() {
    const { address } = libc();
    this.#vector.writeBigUInt64LE(address(this.body), 0);
    this.#vector.writeBigUInt64LE(BigInt(this.body.length), 8);
    this.header.writeBigUInt64LE(address(this.#vector), 16);
    this.header.writeBigUInt64LE(1n, 24);
    this.header.writeBigUInt64LE(address(this.#control), 32);
    this.header.writeBigUInt64LE(BigInt(this.#control.length), 40);
  }

  enclose(fd: number): void {
    this.#control.writeBigUInt64LE(20n, 0);
    this.#control.writeInt32LE(SOL_SOCKET, 8);
    this.#control.writeInt32LE(SCM_RIGHTS, 12);
    this.#control.writeInt32LE(fd, 16);
  }

  enclosed(): number | undefined {
    return this.#control.readInt32LE(12) === SCM_RIGHTS ? this.#control.readInt32LE(16) : undefined;
  }
}

/** struct sockaddr_un, whose path begins with a zero. */
function addressOf(name: string): Buffer {
  const address = Buffer.alloc(3 + name.length);
  address.writeUInt16LE(AF_UNIX);
  address.write(name, 3);
  return address;
}
