// Addresses as the C library wants them: struct sockaddr_un, sockaddr_in and sockaddr_in6 (unix(7), ip(7), ipv6(7)).
import { platform } from 'node:process';
import { type Address, isIPv6 } from '../config/address.js';
import { AF_UNIX } from './socket-constants.js';

const AF_INET = 2;
export const AF_INET6 = platform === 'darwin' ? 30 : 10;
const mappedIPv4 = Buffer.from('00000000000000000000ffff', 'hex');

/** @param address whose host is a numeric IP address */
export function encodeAddress(address: Address): Buffer {
  if (address.kind === 'unix') return encodePath(address.path);
  const v6 = isIPv6(address.host);
  const name = v6 ? Buffer.alloc(28) : Buffer.alloc(16);
  writeFamily(name, v6 ? AF_INET6 : AF_INET);
  name.writeUInt16BE(address.port, 2);
  if (v6) writeIPv6(name, address.host);
  else Buffer.from(address.host.split('.').map(Number)).copy(name, 4);
  return name;
}

/** The address of a Unix socket. */
export function encodePath(path: string): Buffer {
  const name = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
  writeFamily(name, AF_UNIX);
  name.write(path, 2);
  return name;
}

export function decodeAddress(name: Buffer): Address {
  const family = familyOf(name);
  if (family === AF_UNIX) return { kind: 'unix', path: name.toString('utf8', 2, Math.max(2, name.indexOf(0, 2))) };
  const port = portIn(name);
  if (family === AF_INET) return { kind: 'tcp', host: [...name.subarray(4, 8)].join('.'), port };
  // As Node writes it: of a client of `[::]` that has an IPv4 address (RFC 4291, section 2.5.5.2).
  if (name.subarray(8, 20).equals(mappedIPv4))
    return { kind: 'tcp', host: `::ffff:${[...name.subarray(20, 24)].join('.')}`, port };
  const groups = Array.from({ length: 8 }, (_, i) => name.readUInt16BE(8 + 2 * i).toString(16));
  return { kind: 'tcp', host: shortestIPv6(groups.join(':')), port };
}

/** Not for a Unix socket. */
export function portIn(name: Buffer): number {
  return name.readUInt16BE(2);
}

export function familyOf(name: Buffer): number {
  return platform === 'darwin' ? name.readUInt8(1) : name.readUInt16LE(0);
}

/** On macOS the first byte is the length. */
function writeFamily(name: Buffer, family: number): void {
  if (platform === 'darwin') {
    name.writeUInt8(name.length, 0);
    name.writeUInt8(family, 1);
  } else name.writeUInt16LE(family, 0);
}

/** @param host an address in any of its spellings (RFC 4291, section 2.2), and perhaps a zone */
function writeIPv6(name: Buffer, host: string): void {
  const [head = '', tail = ''] = shortestIPv6(host.replace(/%.*$/, '')).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  groups(head).forEach((group, i) => void name.writeUInt16BE(group, 8 + 2 * i));
  groups(tail)
    .toReversed()
    .forEach((group, i) => void name.writeUInt16BE(group, 22 - 2 * i));
}

/** As the URL parser formats an address (RFC 5952): in hexadecimal groups, with `::` for zeros. */
function shortestIPv6(host: string): string {
  return new URL(`http://[${host}]`).hostname.slice(1, -1);
}
