// A Unix datagram socket, which Node does not have: receives what a service says to systemd.
import { createRequire } from 'node:module';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

export class Datagrams implements Disposable {
  private readonly libc;
  private readonly fd: number;

  constructor(path: string) {
    const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
    const library = koffi.load(null);
    this.libc = {
      socket: library.func('int socket(int, int, int)'),
      bind: library.func('int bind(int, const void*, uint32_t)'),
      recv: library.func('long recv(int, void*, unsigned long, int)'),
      close: library.func('int close(int)'),
    };
    this.fd = this.libc.socket(AF_UNIX, SOCK_DGRAM, 0);
    const address = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
    address.writeUInt16LE(AF_UNIX);
    address.write(path, 2);
    if (this.libc.bind(this.fd, address, address.length) < 0) throw new Error(`cannot bind ${path}`);
  }

  /** All that have come since the last call. */
  take(): string[] {
    const all: string[] = [];
    const buffer = Buffer.alloc(4096);
    for (;;) {
      const length = Number(this.libc.recv(this.fd, buffer, buffer.length, MSG_DONTWAIT));
      if (length <= 0) return all;
      all.push(buffer.toString('utf8', 0, length));
    }
  }

  [Symbol.dispose](): void {
    this.libc.close(this.fd);
  }
}
