// The message in which a connection migrates: its descriptor (SCM_RIGHTS, cmsg(3)) and what is known of it, as sendmsg(2)
// and recvmsg(2) want it. What comes in is checked: any process that has inherited the channel could send.
import { closeDescriptor, isConnection, socketOption } from './descriptor.js';
import { libc } from './libc.js';
import { decodeAddress, encodeAddress, familyOf } from './socket-address.js';
import { MSG_DONTWAIT, SOL_SOCKET } from './socket-constants.js';

const SCM_RIGHTS = 1;
const SO_PEERCRED = 17;
const MSG_NOSIGNAL = 0x4000;
const MSG_CTRUNC = 8;
const MSG_CMSG_CLOEXEC = 0x40000000;
/**
 * The body: how many requests have been answered on the connection, the address of its client (0 where none was named), and
 * the session that it belongs to (0 where it has none).
 */
const bodyBytes = 40;
const clientAt = 4;
const sessionAt = 32;

/** The process at the other end of a message (SO_PEERCRED, unix(7)). */
export interface Sender {
  readonly pid: number;
  readonly uid: number;
}

/** What goes along with a connection. */
export interface SentFacts {
  readonly requests: number;
  /** The client that a proxy has named. */
  readonly client?: { readonly host: string; readonly port: number } | undefined;
  /** 16 hexadecimal digits. */
  readonly session?: string | undefined;
}

export type Received = ({ readonly fd: number } & SentFacts) | 'nothing' | { readonly refused: Sender };

/** @param socket that is connected to the channel. @returns false when no receiver reads from it any more */
export function sendMessage(socket: number, fd: number, facts: SentFacts): boolean {
  const message = new RightsMessage();
  message.write(fd, facts);
  return libc().sendmsg(socket, message.header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/** Takes one descriptor, and closes it unless it is a connection; of any others the kernel disposes. */
export function receiveMessage(socket: number): Received {
  const message = new RightsMessage();
  const length = libc().recvmsg(socket, message.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length <= 0) return 'nothing';
  const { fd, facts } = message;
  if (fd === undefined) return { refused: senderOf(socket) };
  if (length === bodyBytes && !message.isCut && isConnection(fd)) return { fd, ...facts };
  closeDescriptor(fd);
  return { refused: senderOf(socket) };
}

function senderOf(socket: number): Sender {
  const credentials = socketOption(socket, SO_PEERCRED, 12) ?? Buffer.alloc(12); // struct ucred: pid, uid, gid
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
}

/** struct msghdr and what it points to, for one descriptor. */
class RightsMessage {
  readonly header = Buffer.alloc(56);
  /** With room for a byte more, so that a longer body is recognised. */
  readonly #body = Buffer.alloc(bodyBytes + 1);
  readonly #vector = Buffer.alloc(16);
  /** struct cmsghdr (length, level, type), then the descriptor. The four bytes up to its alignment would hold a second one. */
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

  write(fd: number, { requests, client, session }: SentFacts): void {
    this.#body.writeUInt32LE(requests);
    if (session !== undefined) this.#body.write(session, sessionAt, 'hex');
    if (client) encodeAddress({ kind: 'tcp', ...client }).copy(this.#body, clientAt);
    this.#vector.writeBigUInt64LE(BigInt(bodyBytes), 8);
    this.#control.writeBigUInt64LE(BigInt(this.#control.length), 0);
    this.#control.writeInt32LE(SOL_SOCKET, 8);
    this.#control.writeInt32LE(SCM_RIGHTS, 12);
    this.#control.writeInt32LE(fd, 16);
  }

  get facts(): SentFacts {
    const requests = this.#body.readUInt32LE();
    const name = this.#body.subarray(clientAt, sessionAt);
    const address = familyOf(name) === 0 ? undefined : decodeAddress(name);
    const session = this.#body.toString('hex', sessionAt, bodyBytes);
    return {
      requests,
      ...(address?.kind === 'tcp' && { client: { host: address.host, port: address.port } }),
      ...(/[^0]/.test(session) && { session }),
    };
  }

  /** More descriptors were sent than there is room for. */
  get isCut(): boolean {
    return (this.header.readInt32LE(48) & MSG_CTRUNC) !== 0;
  }

  /** The descriptor that was received, if any. */
  get fd(): number | undefined {
    return this.#control.readInt32LE(12) === SCM_RIGHTS ? this.#control.readInt32LE(16) : undefined;
  }
}
