// A listening socket that Node does not poll: the kernel queues clients on it while no worker accepts, as during starts and
// crashes. Node's own `net.Server` would begin to accept at once (tcp(7), unix(7)).
import { constants } from 'node:fs';
import { platform } from 'node:process';
import type { Address } from '../config/address.js';
import { closeDescriptor, closeOnExec } from './descriptor.js';
import { checked, libc } from './libc.js';
import { AF_INET6, decodeAddress, encodeAddress, familyOf, portIn } from './socket-address.js';
import { F_SETFL, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from './socket-constants.js';

/** As on Linux. */
const SOCK_NONBLOCK = 0o4000;
const SO_REUSEADDR = platform === 'darwin' ? 4 : 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = platform === 'darwin' ? 27 : 26;
const IPPROTO_TCP = 6;
/** Linux only. */
const TCP_DEFER_ACCEPT = 9;
/** As on Linux, where the kernel divides the clients among the sockets that have it (socket(7)). */
const SO_REUSEPORT = 15;
/** The size of sun_path less its final zero (bytes). */
export const maxUnixPath = platform === 'darwin' ? 103 : 107;

/**
 * Opens and binds, and listens unless it is a further queue (`openQueue`). `address.host` must be a numeric IP address. A Unix
 * socket is made with mode 0600.
 * @param backlog length of the kernel's queue of clients; the kernel may cap it (somaxconn).
 * @param options `ipv6Only`: `[::]` does not serve IPv4 clients. `isQueue`: beside others
 * @returns a non-blocking, close-on-exec descriptor that belongs to the caller.
 * @throws SystemCallError with code EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOENT …
 */
export function openListeningSocket(
  address: Address,
  backlog: number,
  { ipv6Only = false, isQueue = false }: { readonly ipv6Only?: boolean | undefined; readonly isQueue?: boolean } = {},
): number {
  const { socket, setsockopt, bind, listen, fcntl, umask } = libc();
  const name = encodeAddress(address);
  const family = familyOf(name);
  const fd = checked('socket', socket(family, SOCK_STREAM, 0));
  try {
    closeOnExec(fd);
    checked('fcntl', fcntl(fd, F_SETFL, 'int', constants.O_NONBLOCK));
    if (address.kind === 'tcp') checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, int(1), 4));
    if (isQueue) checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, int(1), 4));
    // As Node does: `[::]` serves IPv4 clients, too, whatever the system's default is.
    if (family === AF_INET6) checked('setsockopt', setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, int(ipv6Only ? 1 : 0), 4));
    const mask = address.kind === 'unix' ? umask(0o177) : undefined;
    const bound = bind(fd, name, name.length);
    const failure = bound < 0 ? libc().errno() : 0;
    if (mask !== undefined) umask(mask);
    if (failure !== 0) checked('bind', bound);
    if (!isQueue) checked('listen', listen(fd, backlog));
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/**
 * Opens another queue of clients for the address of a listening TCP socket, on Linux: of all queues that something listens
 * on, the kernel chooses one for each client. Nothing does on the new one: what accepts there calls listen(2), as Node does.
 * Before there is a second queue, no other program can have one, also none of the same user.
 * @param fd of the first queue
 * @returns a descriptor as that of `openListeningSocket`. @throws SystemCallError
 */
export function openQueue(fd: number): number {
  checked('setsockopt', libc().setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, int(1), 4));
  return openListeningSocket(addressOf(fd), 0, { isQueue: true });
}

/**
 * Has the kernel keep each TCP connection back until its client has sent something, or until `seconds` have passed (tcp(7));
 * 0: as usual. Does nothing where there is no such option.
 */
export function deferAccept(fd: number, seconds: number): void {
  if (platform === 'linux') libc().setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, int(seconds), 4);
}

/**
 * Accepts a client that waits on a non-blocking listening socket.
 * @returns a non-blocking, close-on-exec descriptor that belongs to the caller; undefined if no client waits, if the system
 * refuses another descriptor, and on macOS
 */
export function acceptWaiting(fd: number): number | undefined {
  const accepted = libc().accept4?.(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK) ?? -1;
  return accepted < 0 ? undefined : accepted;
}

/** The port of a TCP listening socket, which the kernel has chosen if port 0 was requested. */
export function portOf(fd: number): number {
  return portIn(nameOf(fd));
}

/** The address of a listening socket that another process has opened. @throws SystemCallError if `fd` is no socket */
export function addressOf(fd: number): Address {
  return decodeAddress(nameOf(fd));
}

/** The client's address of a connection; a Unix socket has no path. @returns undefined if it has been reset */
export function peerOf(fd: number): Address | undefined {
  const name = emptyName();
  return libc().getpeername(fd, name, int(name.length)) < 0 ? undefined : decodeAddress(name);
}

function nameOf(fd: number): Buffer {
  const name = emptyName();
  checked('getsockname', libc().getsockname(fd, name, int(name.length)));
  return name;
}

/** struct sockaddr of any family. */
function emptyName(): Buffer {
  return Buffer.alloc(128);
}

function int(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
}
