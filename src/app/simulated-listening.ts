// Lets a server look to the app as if it listened, while it has no socket: the app's own server, for which mpserve accepts,
// and a secondary server that waits for its socket, or on whose socket another worker accepts.
import type { AddressInfo, Server } from 'node:net';

/** The result of `net.Server#address()`: an object for TCP, the path for a Unix socket. */
export type ServerAddress = AddressInfo | string;

type Close = (callback?: (error?: Error) => void) => Server;

const properties = ['listening', 'address', 'close'] as const;

export class SimulatedListening {
  readonly #server: Server;
  readonly #before: readonly (PropertyDescriptor | undefined)[];
  #isListening = false;
  #isClosed = false;
  #isTold = false;
  #address: ServerAddress | null = null;

  /** From now on `close()` is ours; the server does not listen yet. @param onClose the app has closed it */
  constructor(server: Server, onClose: () => void) {
    this.#server = server;
    this.#before = properties.map((name) => Object.getOwnPropertyDescriptor(server, name));
    const close = server.close as Close;
    const replaced: Record<(typeof properties)[number], PropertyDescriptor> = {
      listening: { get: () => this.#isListening, configurable: true },
      address: { value: () => (this.#isListening ? this.#address : null), configurable: true, writable: true },
      close: {
        value: (callback?: (error?: Error) => void) => {
          if (this.#isClosed) return close.call(server, callback);
          this.#isClosed = true;
          this.#isListening = false;
          if (typeof callback === 'function') server.once('close', callback);
          onClose();
          return close.call(server); // emits 'close' when the pipeline has none of its connections left
        },
        configurable: true,
        writable: true,
      },
    };
    Object.defineProperties(server, replaced);
  }

  /** The app has had the event 'listening'. */
  get isTold(): boolean {
    return this.#isTold;
  }

  /** The server listens, in Node's order: the event comes in a later tick. @param isTold the app has had the event */
  begin(address: ServerAddress | null, isTold = false): void {
    this.#address = address;
    this.#isListening = true;
    this.#isTold = isTold;
    if (isTold) return;
    process.nextTick(() => {
      if (!this.#isListening) return;
      this.#isTold = true;
      this.#server.emit('listening');
    });
  }

  /** The server is Node's again. */
  end(): void {
    this.#isListening = false;
    for (const [i, name] of properties.entries()) {
      const before = this.#before[i];
      if (before) Object.defineProperty(this.#server, name, before);
      else delete (this.#server as unknown as Record<string, unknown>)[name];
    }
  }
}
