// Sends descriptors over a Unix socket (sendmsg(2), SCM_RIGHTS), as many as the kernel takes, whoever will read them.
import { libc } from '../../src/os/libc.ts';

export function sendRights(socket: number, body: Buffer, fds: readonly number[]): void {
  const { address, sendmsg, errno } = libc();
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(address(body), 0);
  vector.writeBigUInt64LE(BigInt(body.length), 8);
  const control = Buffer.alloc(16 + 8 * Math.ceil(fds.length / 2));
  control.writeBigUInt64LE(BigInt(16 + 4 * fds.length), 0);
  control.writeInt32LE(1, 8); // SOL_SOCKET
  control.writeInt32LE(1, 12); // SCM_RIGHTS
  for (const [i, fd] of fds.entries()) control.writeInt32LE(fd, 16 + 4 * i);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(address(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  if (fds.length > 0) {
    header.writeBigUInt64LE(address(control), 32);
    header.writeBigUInt64LE(BigInt(control.length), 40);
  }
  const MSG_NOSIGNAL = 0x4000;
  if (sendmsg(socket, header, MSG_NOSIGNAL) < 0) throw new Error(`sendmsg: errno ${errno()}`);
}
