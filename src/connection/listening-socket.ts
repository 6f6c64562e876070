// One listening socket on which accepting can be suspended. Node can only stop accepting by closing its descriptor, so a
// copy is kept, and the kernel goes on queueing clients.
import { createServer, type Server, type Socket } from 'node:net';
import { closeDescriptor, duplicate, isReadable } from '../os/descriptor.js';
import { acceptWaiting } from '../os/listening-socket.js';
import { socketFromFd } from '../os/node-socket.js';

/** Those of other event loops, and requests that have come, are not to wait for a burst of any size. */
const maxPerTurn = 64;

export class ListeningSocket {
  readonly #backlog: number;
  readonly #isPaused: boolean;
  readonly #takesAll: boolean;
  readonly #onConnection: (socket: Socket) => void;
  /** The descriptor that Node polls while it accepts, or the copy that is kept; -1 once closed. */
  #fd: number;
  #server: Server | undefined;

  /**
   * @param fd belongs to the listening socket from now on
   * @param backlog Node calls listen(2) once more, so it must know it
   * @param isPaused leaves the bytes of new connections unread
   * @param takesAll accepts all that wait when the event loop gets there, and not one (libuv from version 1.45), so that
   * clients wait where a limit on requests sees them
   */
  constructor(
    fd: number,
    backlog: number,
    { isPaused, takesAll }: { readonly isPaused: boolean; readonly takesAll: boolean },
    onConnection: (socket: Socket) => void,
  ) {
    this.#fd = fd;
    this.#backlog = backlog;
    this.#isPaused = isPaused;
    this.#takesAll = takesAll;
    this.#onConnection = onConnection;
  }

  /** Accepting is suspended, and a client waits in the backlog. */
  get hasWaiting(): boolean {
    return this.#server === undefined && this.#fd >= 0 && isReadable(this.#fd);
  }

  resume(): void {
    if (this.#server || this.#fd < 0) return;
    // As http.Server does for the sockets that it accepts itself.
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: this.#isPaused });
    this.#server = server;
    server.on('connection', (socket) => {
      this.#onConnection(socket);
      if (this.#takesAll) this.#takeWaiting();
    });
    server.on('error', (error) => {
      // A failed accept (EMFILE) costs one client its connection, and the next may succeed. A socket that cannot listen
      // at all is fatal: the process that replaces this one inherits a sound descriptor.
      if (!server.listening) throw error;
    });
    server.listen({ fd: this.#fd }, this.#backlog); // among the options the backlog would be ignored
  }

  suspend(): void {
    if (!this.#server) return;
    // The only place that needs the C library here, so a worker that never reaches its limit never loads it.
    try {
      this.#fd = duplicate(this.#fd);
    } catch {
      return; // no descriptor is left for the copy: accept until the next attempt, at the next connection
    }
    this.#server.close();
    this.#server = undefined;
  }

  close(): void {
    if (this.#server) this.#server.close();
    else if (this.#fd >= 0) closeDescriptor(this.#fd);
    this.#server = undefined;
    this.#fd = -1;
  }

  #takeWaiting(): void {
    for (let taken = 1; taken < maxPerTurn && this.#server; taken++) {
      const fd = acceptWaiting(this.#fd);
      if (fd === undefined) return;
      this.#onConnection(socketFromFd(fd, this.#isPaused).setNoDelay(true));
    }
  }
}
