// What an app in a thread has as `req.socket`: who the client is, and the end of its connection, which the process has.
// Nothing can be written to it.
import { Duplex } from 'node:stream';
import type { Ends } from './request-head.js';

export interface SocketListener {
  /** The app has destroyed it, or the client has gone. */
  destroyed(): void;
  /** The app has set a timeout, which is over. */
  timedOut(): void;
}

export class TaskSocket extends Duplex {
  readonly encrypted = false;
  readonly connecting = false;
  readonly pending = false;
  timeout: number | undefined;
  readonly #ends: Ends;
  readonly #listener: SocketListener;
  #timer: NodeJS.Timeout | undefined;

  constructor(ends: Ends, listener: SocketListener) {
    super({ emitClose: true });
    this.#ends = ends;
    this.#listener = listener;
  }

  get remoteAddress(): string | undefined {
    return this.#ends.remoteAddress || undefined;
  }

  get remotePort(): number | undefined {
    return portOf(this.#ends.remotePort);
  }

  get remoteFamily(): string | undefined {
    return this.#ends.remoteFamily || undefined;
  }

  get localAddress(): string | undefined {
    return this.#ends.localAddress || undefined;
  }

  get localPort(): number | undefined {
    return portOf(this.#ends.localPort);
  }

  get localFamily(): string | undefined {
    return this.remoteFamily;
  }

  get readyState(): string {
    return this.destroyed ? 'closed' : 'open';
  }

  address(): { readonly address?: string | undefined; readonly port?: number | undefined; readonly family?: string } {
    if (this.localAddress === undefined) return {};
    return { address: this.localAddress, port: this.localPort, family: this.localFamily ?? '' };
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** @param ms without a byte of the request or the response; 0 is no limit */
  setTimeout(ms: number, listener?: () => void): this {
    clearTimeout(this.#timer);
    this.timeout = ms;
    this.#timer = ms > 0 ? setTimeout(() => this.#timedOut(), ms).unref() : undefined;
    if (listener) {
      if (ms > 0) this.once('timeout', listener);
      else this.off('timeout', listener);
    }
    return this;
  }

  destroySoon(): void {
    this.destroy();
  }

  /** A byte has come or gone. */
  sawProgress(): void {
    this.#timer?.refresh();
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: (error: Error) => void): void {
    done(
      Object.assign(
        new Error('req.socket cannot be written to: with --unit request the connection is in another thread'),
        { code: 'ERR_MPSERVE_SOCKET' },
      ),
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#listener.destroyed();
    done(this.listenerCount('error') > 0 ? error : null); // on a socket of Node the server listens
  }

  #timedOut(): void {
    this.emit('timeout');
    this.#listener.timedOut();
  }
}

function portOf(text: string): number | undefined {
  return text === '' ? undefined : Number(text);
}
