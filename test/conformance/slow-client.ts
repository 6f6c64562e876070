// A client that takes its time, in the four ways of slowhttptest: headers, bodies, reads, ranges. It never completes
// its request, or never its reading, but moves a little at each `dribble`.
import net from 'node:net';
import { within } from '../helpers/eventually.js';
import { connectOptions } from '../helpers/wire.js';

interface Mode {
  readonly hello: string;
  /** What a dribble sends; without it, a dribble reads. */
  readonly drop?: string;
  /** The server says something at once, so the client can tell that it is being served. */
  readonly heard: boolean;
}

const ranges = Array.from({ length: 1000 }, (_, i) => `5-${i}`).join(',');
const request = (line: string, ...fields: string[]): string =>
  [`${line} HTTP/1.1`, 'host: slow', ...fields, ''].join('\r\n');

export const modes = {
  headers: { hello: request('GET /'), drop: 'x-a: b\r\n', heard: false },
  bodies: {
    hello: `${request('POST /echo', 'expect: 100-continue', 'content-length: 100000')}\r\n`,
    drop: 'x',
    heard: true,
  },
  reads: { hello: `${request('GET /endless')}\r\n`, heard: true },
  ranges: { hello: `${request('GET /file', `range: bytes=0-,${ranges}`)}\r\n`, heard: true },
} satisfies Record<string, Mode>;

export class SlowClient {
  closed = false;
  private heard = false;
  private readonly socket: net.Socket;
  private readonly met: Promise<void>;
  private readonly mode: Mode;

  constructor(
    url: string,
    readonly name: keyof typeof modes,
  ) {
    this.mode = modes[name];
    this.socket = net.connect(connectOptions(url), () => this.socket.write(this.mode.hello));
    this.met = new Promise((resolve) => {
      this.socket.once('readable', () => {
        this.heard = true;
        resolve();
      });
      this.socket
        .on('error', () => {})
        .on('close', () => {
          this.closed = true;
          resolve();
        });
    });
  }

  /** Resolves when the server has shown that it serves this client, or has closed it; at once where it cannot tell. */
  async accepted(): Promise<void> {
    if (this.mode.heard && !this.heard) await within(`a server that meets a client with slow ${this.name}`, this.met);
  }

  dribble(): void {
    if (this.mode.drop && this.socket.writable) this.socket.write(this.mode.drop);
    this.look();
  }

  /** Reads, as whoever does not read learns nothing of the end; a slow reader only a few bytes. */
  look(): void {
    this.socket.read(this.mode.drop ? undefined : 64);
  }

  leave(): void {
    this.socket.destroy();
  }
}
