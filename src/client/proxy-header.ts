// The header with which a proxy says who the client of a connection is, before the first byte of HTTP: the PROXY protocol,
// versions 1 and 2 (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt; the sections are its own).
import { isIPv4, isIPv6 } from 'node:net';

/** The client's end of a connection to a proxy. */
export interface Client {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/** `client` is undefined where the proxy speaks for itself (`LOCAL`), or does not know (`UNKNOWN`). */
export interface ProxyHeader {
  /** Bytes of the header. */
  readonly length: number;
  readonly client: Client | undefined;
}

/** Section 2.1: the longest line, with its end. */
const maxLineBytes = 107;
const lineStart = Buffer.from('PROXY ');
/** Section 2.2. */
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const fixedBytes = 16;
/** Of version 2, with its TLVs, such as the certificate of the client; section 2.2 wants at least 536 to be read. */
export const maxHeaderBytes = 4096;

/** `partial`: more bytes are needed; `malformed`: these are no header, or one that is too long. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'partial' | 'malformed' {
  for (const [start, read] of [
    [lineStart, readLine],
    [signature, readBinary],
  ] as const) {
    const common = Math.min(bytes.length, start.length);
    if (bytes.compare(start, 0, common, 0, common) === 0) return common < start.length ? 'partial' : read(bytes);
  }
  return 'malformed';
}

function readLine(bytes: Buffer): ProxyHeader | 'partial' | 'malformed' {
  const end = bytes.indexOf('\r\n');
  if (end === -1) return bytes.length < maxLineBytes ? 'partial' : 'malformed';
  const length = end + 2;
  if (length > maxLineBytes) return 'malformed';
  const [, family, host = '', destination = '', port = '', ...rest] = bytes.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { length, client: undefined };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : () => false;
  const [destinationPort, ...more] = rest;
  const isValid =
    isAddress(host) && isAddress(destination) && isPort(port) && isPort(destinationPort ?? '') && more.length === 0;
  return isValid ? { length, client: { host, port: Number(port) } } : 'malformed';
}

/** Without a zone: `isIPv6` accepts any text there. */
function isPlainIPv6(text: string): boolean {
  return !text.includes('%') && isIPv6(text);
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

const commands = { local: 0, proxy: 1 } as const;
/** Section 2.2: receivers must reject families and transports above these. */
const last = { family: 3, transport: 2 } as const;
/** Family and transport; others, such as Unix sockets, name no client. */
const tcpIPv4 = 0x11;
const tcpIPv6 = 0x21;

function readBinary(bytes: Buffer): ProxyHeader | 'partial' | 'malformed' {
  if (bytes.length < fixedBytes) return 'partial';
  const [version, command] = [(bytes[12] as number) >> 4, (bytes[12] as number) & 0xf];
  const family = bytes[13] as number;
  const length = fixedBytes + bytes.readUInt16BE(14);
  if (version !== 2 || (command !== commands.local && command !== commands.proxy) || length > maxHeaderBytes)
    return 'malformed';
  if (family >> 4 > last.family || (family & 0xf) > last.transport) return 'malformed';
  if (bytes.length < length) return 'partial';
  if (command === commands.local) return { length, client: undefined };
  const at = fixedBytes;
  if (family === tcpIPv4) {
    if (length < at + 12) return 'malformed';
    return { length, client: { host: bytes.subarray(at, at + 4).join('.'), port: bytes.readUInt16BE(at + 8) } };
  }
  if (family === tcpIPv6) {
    if (length < at + 36) return 'malformed';
    return { length, client: { host: textOfIPv6(bytes.subarray(at, at + 16)), port: bytes.readUInt16BE(at + 32) } };
  }
  return { length, client: undefined };
}

/** As the URL parser writes it (RFC 5952). */
function textOfIPv6(address: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
