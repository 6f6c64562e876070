// A listening socket that Node does not poll: the kernel queues clients on it while no worker accepts, as during starts and
// crashes. Node's own `net.Server` would begin to accept at once (tcp(7), unix(7)).
import { platform } from 'node:process';
import { type Address, isIPv6 } from '../config/address.js';
import { closeDescriptor, closeOnExec } from './descriptor.js';
import { checked, libc } from './libc.js';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = platform === 'darwin' ? 30 : 10;
const SOCK_STREAM = 1;
const SOL_SOCKET = platform === 'darwin' ? 0xffff : 1;
const SO_REUSEADDR = platform === 'darwin' ? 4 : 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = platform === 'darwin' ? 27 : 26;
const F_SETFL = 4;
const O_NONBLOCK = platform === 'darwin' ? 4 : 0o4000;
/** The size of sun_path less its final zero (bytes). */
export const maxUnixPath = platform === 'darwin' ? 103 : 107;

/**
 * Opens, binds and listens. `address.host` must be a numeric IP address. A Unix socket is made with mode 0600.
 * @param backlog length of the kernel's queue of clients; the kernel may cap it (somaxconn).
 * @returns a non-blocking, close-on-exec descriptor that belongs to the caller.
 * @throws SystemCallError with code EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOENT …
 */
export function openListeningSocket(address: Address, backlog: number): number {
  const { socket, setsockopt, bind, listen, fcntl, umask } = libc();
  const v6 = address.kind === 'tcp' && isIPv6(address.host);
  const family = address.kind === 'unix' ? AF_UNIX : v6 ? AF_INET6 : AF_INET;
  const fd = checked('socket', socket(family, SOCK_STREAM, 0));
  try {
    closeOnExec(fd);
    checked('fcntl', fcntl(fd, F_SETFL, 'int', O_NONBLOCK));
    if (address.kind === 'tcp') checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, int(1), 4));
    // As Node does: `[::]` serves IPv4 clients, too, whatever the system's default is.
    if (v6) checked('setsockopt', setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, int(0), 4));
    const name = address.kind === 'unix' ? unixName(address.path) : internetName(family, address.host, address.port);
    const mask = address.kind === 'unix' ? umask(0o177) : undefined;
    const bound = bind(fd, name, name.length);
    const failure = bound < 0 ? libc().errno() : 0;
    if (mask !== undefined) umask(mask);
    if (failure !== 0) checked('bind', bound);
    checked('listen', listen(fd, backlog));
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** The port of a TCP listening socket, which the kernel has chosen if port 0 was requested. */
export function portOf(fd: number): number {
  return nameOf(fd).readUInt16BE(2);
}

/** The address of a listening socket that another process has opened. @throws SystemCallError if `fd` is no socket */
export function addressOf(fd: number): Address {
  const name = nameOf(fd);
  const family = platform === 'darwin' ? name.readUInt8(1) : name.readUInt16LE(0);
  if (family === AF_UNIX) return { kind: 'unix', path: name.toString('utf8', 2, Math.max(2, name.indexOf(0, 2))) };
  const port = name.readUInt16BE(2);
  if (family === AF_INET) return { kind: 'tcp', host: [...name.subarray(4, 8)].join('.'), port };
  const groups = Array.from({ length: 8 }, (_, i) => name.readUInt16BE(8 + 2 * i).toString(16));
  // The URL parser formats it (RFC 5952).
  return { kind: 'tcp', host: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), port };
}

/** struct sockaddr of any family. */
function nameOf(fd: number): Buffer {
  const name = Buffer.alloc(128);
  checked('getsockname', libc().getsockname(fd, name, int(name.length)));
  return name;
}

function int(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
}

/** struct sockaddr_in or sockaddr_in6. On macOS the first byte is the length. */
function internetName(family: number, host: string, port: number): Buffer {
  const v6 = family === AF_INET6;
  const name = Buffer.alloc(v6 ? 28 : 16);
  writeFamily(name, family);
  name.writeUInt16BE(port, 2);
  if (v6) ipv6Bytes(host).copy(name, 8);
  else Buffer.from(host.split('.').map(Number)).copy(name, 4);
  return name;
}

/** struct sockaddr_un. */
function unixName(path: string): Buffer {
  const bytes = Buffer.from(path);
  const name = Buffer.alloc(2 + bytes.length + 1);
  writeFamily(name, AF_UNIX);
  bytes.copy(name, 2);
  return name;
}

function writeFamily(name: Buffer, family: number): void {
  if (platform === 'darwin') {
    name.writeUInt8(name.length, 0);
    name.writeUInt8(family, 1);
  } else {
    name.writeUInt16LE(family, 0);
  }
}

/** The 16 bytes of a valid IPv6 address in any of its spellings (RFC 4291, section 2.2). */
function ipv6Bytes(host: string): Buffer {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host.replace(/%.*$/, ''));
  const hex = (high: string | undefined, low: string | undefined) => ((Number(high) << 8) | Number(low)).toString(16);
  const text = dotted
    ? `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`
    : host.replace(/%.*$/, '');
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const bytes = Buffer.alloc(16);
  left.forEach((group, i) => {
    bytes.writeUInt16BE(group, i * 2);
  });
  right.forEach((group, i) => {
    bytes.writeUInt16BE(group, 16 - (right.length - i) * 2);
  });
  return bytes;
}
