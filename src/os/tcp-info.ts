// What the kernel knows of a TCP connection (tcp(7), TCP_INFO). Linux only.
import { platform } from 'node:process';
import { libc } from './libc.js';

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Of struct tcp_info (bytes): tcpi_state, and tcpi_bytes_received, which ends what is asked for. */
const stateAt = 0;
const receivedAt = 128;
const infoLength = receivedAt + 8;
const TCP_ESTABLISHED = 1;
const TCP_LISTEN = 10;
/** Of a listening socket: clients that wait, and how many may (tcpi_unacked and tcpi_sacked, bytes). */
const waitingAt = 24;
const backlogAt = 28;

/** Bytes that the client has sent, those not read yet included; undefined once a side has sent its last ones. */
export function bytesReceived(fd: number): number | undefined {
  const info = infoOf(fd);
  return info?.[stateAt] === TCP_ESTABLISHED ? Number(info.readBigUInt64LE(receivedAt)) : undefined;
}

/** Of the kernel's queue of clients of a listening socket; undefined where the kernel does not tell. */
export function queueOf(fd: number): { readonly waiting: number; readonly limit: number } | undefined {
  const info = infoOf(fd);
  if (info?.[stateAt] !== TCP_LISTEN) return undefined;
  return { waiting: info.readUInt32LE(waitingAt), limit: info.readUInt32LE(backlogAt) };
}

/** undefined for what is no TCP socket, and elsewhere than on Linux. */
function infoOf(fd: number): Buffer | undefined {
  if (platform !== 'linux') return undefined;
  const info = Buffer.alloc(infoLength);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(infoLength);
  const failed = libc().getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) < 0;
  return failed || length.readUInt32LE() < infoLength ? undefined : info;
}
