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

/** Bytes that the client has sent, those not read yet included; undefined once a side has sent its last ones. */
export function bytesReceived(fd: number): number | undefined {
  if (platform !== 'linux') return undefined;
  const info = Buffer.alloc(infoLength);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(infoLength);
  const failed = libc().getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length) < 0;
  if (failed || length.readUInt32LE() < infoLength || info[stateAt] !== TCP_ESTABLISHED) return undefined;
  return Number(info.readBigUInt64LE(receivedAt));
}
