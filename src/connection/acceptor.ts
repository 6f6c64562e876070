// Accepts connections from listening sockets, up to a limit. At the limit, and when told to, it suspends: the
// kernel's backlog then queues the clients and nobody is turned away. The supervisor, workers and threads use it.
import { createServer, type Server, type Socket } from 'node:net';
import { now } from '../clock.js';
import { closeDescriptor, duplicate, isReadable } from '../os/descriptor.js';
import { offerSeats, type Received, type Relay, receive, relayBacklog, type Sender, takeSeat } from '../migration/channel.js';

export interface AcceptorOptions {
  /** Descriptors of listening sockets; the acceptor owns them from now on. */
  readonly fds: readonly number[];
  /** Node calls listen(2) once more on each of them, so it must know their backlog. */
  readonly backlog: number;
  /** Connections served at the same time, at least 1. */
  readonly limit: number;
  /** Others accept from the same sockets: leaves them their part of a burst. */
  readonly isShared: boolean;
  /** Leave the bytes of a new connection unread, for a socket that is handed on to somebody else. */
  readonly handOver: boolean;
  /** Serves a connection; settles when it has ended. Never rejects. */
  readonly serve: (socket: Socket) => Promise<void>;
  /** The limit is reached and a client is waiting in the backlog; called again until that changes. */
  readonly onCrowded: () => void;
  /** Where connections come from that others give away; undefined for nowhere. */
  readonly relay?: Relay | undefined;
  /** Take of those only as many as `seats` says, at first none; otherwise any. */
  readonly byOffer?: boolean;
  /** Told of messages at the relay that none of ours sends, how many since the last time, and of the last sender. */
  readonly onRefused?: OnRefused;
}

/**
 * Who accepts takes all that wait before anybody else has woken up, and with connections that are kept one worker then
 * has the work of all. So it naps after each that makes it more than it lately had (milliseconds); a worker whose
 * connections come and go is not held up.
 */
const nap = 0.05;
const lately = 100;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** So many connections may be on their way to an acceptor that takes any. */
const ample = 16;

/** Who has taken a seat comes until then, if ever (milliseconds): the last byte of its request may still be missing. */
const lateMs = 3000;

/** Messages that have been begun and not sent; of more the oldest are waited for no longer. */
const maxUnread = 64;
/** Messages that are none of ours are told of so often at most (milliseconds). */
const refusedEveryMs = 60_000;

/** How often a full house looks whether somebody waits outside (milliseconds). */
const lookEvery = 100;

export type OnRefused = (count: number, sender: Sender) => void;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #doors: Door[];
  #reception: Reception | undefined;
  #active = 0;
  /** The most connections that there were lately, and since when. */
  #crest = 0;
  #crestAt = 0;
  #wanted = false;
  #looking: NodeJS.Timeout | undefined;

  constructor(options: AcceptorOptions) {
    const { fds, backlog, handOver, relay, onRefused, byOffer = false } = options;
    this.#options = options;
    this.#doors = fds.map((fd) => new Door(fd, backlog, handOver, this.#accept));
    if (!relay) return;
    this.#reception = new Reception(relay, byOffer ? 0 : ample, handOver, this.#accept, onRefused);
  }

  /** So many connections that others give away could be served well now. Only with `byOffer`. */
  set seats(count: number) {
    if (this.#reception) this.#reception.seats = count;
  }

  /** Connections that were accepted here and have not ended. */
  get active(): number {
    return this.#active;
  }

  /** Nobody more is accepted until a connection ends. */
  get isFull(): boolean {
    return this.#active >= this.#options.limit;
  }

  start(): void {
    this.#wanted = true;
    this.#reconsider();
  }

  /** Stops accepting for good and gives the descriptors back to the system. Connections go on. */
  close(): void {
    this.#wanted = false;
    clearInterval(this.#looking);
    for (const door of this.#doors) door.remove();
    this.#reception?.remove();
  }

  readonly #accept = (socket: Socket): void => {
    this.#active++;
    if (this.#options.isShared) this.#leaveSome();
    if (this.#active >= this.#options.limit) this.#reconsider();
    void this.#options.serve(socket).then(() => {
      this.#active--;
      if (this.#active === this.#options.limit - 1) this.#reconsider();
    });
  };

  #leaveSome(): void {
    const time = now();
    if (time - this.#crestAt > lately) this.#crest = this.#active - 1;
    if (this.#active <= this.#crest) return;
    this.#crest = this.#active;
    this.#crestAt = time;
    Atomics.wait(sleeper, 0, 0, nap);
  }

  #reconsider(): void {
    const open = this.#wanted && this.#active < this.#options.limit;
    for (const door of this.#doors) {
      if (open) door.open();
      else door.shut();
    }
    if (open) this.#reception?.open();
    else this.#reception?.shut();
    clearInterval(this.#looking);
    if (open || !this.#wanted) return;
    this.#looking = setInterval(() => {
      if (this.#doors.some((door) => door.isWaitedAt)) this.#options.onCrowded();
    }, lookEvery);
  }
}

/** One listening socket. Node can only stop to accept by closing a descriptor, so another copy is kept. */
class Door {
  readonly #backlog: number;
  readonly #isPaused: boolean;
  readonly #onConnection: (socket: Socket) => void;
  /** The descriptor that an open door polls, or that a shut one keeps; -1 once it is removed. */
  #fd: number;
  #server: Server | undefined;

  /** @param isPaused the bytes of a connection are left unread */
  constructor(fd: number, backlog: number, isPaused: boolean, onConnection: (socket: Socket) => void) {
    this.#fd = fd;
    this.#backlog = backlog;
    this.#isPaused = isPaused;
    this.#onConnection = onConnection;
  }

  /** Somebody waits in front of this door, which is shut. */
  get isWaitedAt(): boolean {
    return this.#server === undefined && this.#fd >= 0 && isReadable(this.#fd);
  }

  open(): void {
    if (this.#server || this.#fd < 0) return;
    // As http.Server does for the sockets that it accepts itself.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: this.#isPaused });
    this.#server.on('connection', this.#onConnection);
    const server = this.#server;
    server.on('error', (error) => {
      // A failed accept (EMFILE) has cost one client its connection; the next one may succeed. A door that does not
      // open is not to be survived: whoever replaces this process has a sound one.
      if (!server.listening) throw error;
    });
    this.#server.listen({ fd: this.#fd }, this.#backlog); // among the options it would be ignored
  }

  shut(): void {
    if (!this.#server) return;
    // Only here is the C library needed, so a worker that never meets its limit never loads it.
    try {
      this.#fd = duplicate(this.#fd);
    } catch {
      return; // no descriptor is left for the copy: it stays open until the next attempt, at the next connection
    }
    this.#server.close();
    this.#server = undefined;
  }

  remove(): void {
    if (this.#server) this.#server.close();
    else if (this.#fd >= 0) closeDescriptor(this.#fd);
    this.#server = undefined;
    this.#fd = -1;
  }
}

/** The door of a relay, and the seats that are offered in front of it. */
class Reception {
  readonly #relay: Relay;
  readonly #door: Door;
  #wanted: number;
  #offered = 0;
  /** Seats that are offered no longer, but had been taken before: there, connections may come all the same. */
  #late = 0;
  #forgetting: NodeJS.Timeout | undefined;
  #isOpen = false;
  /** Letters in which there is nothing yet: each a function that waits no longer. */
  readonly #unread = new Set<() => void>();

  readonly #onRefused: OnRefused | undefined;
  /** Messages that none of ours sends, since they were last told of. */
  #refused = 0;
  #refusedToldAt = Number.NEGATIVE_INFINITY;

  /** @param standing seats that it always keeps offered; 0 where `seats` says how many */
  constructor(
    relay: Relay,
    standing: number,
    isPaused: boolean,
    onConnection: (socket: Socket) => void,
    onRefused: OnRefused | undefined,
  ) {
    this.#relay = relay;
    this.#wanted = standing;
    this.#onRefused = onRefused;
    const take = (received: Received): void => {
      if (received !== 'nothing' && 'refused' in received) {
        this.#refuse(received.refused);
        return;
      }
      const socket = received === 'nothing' ? undefined : received.socket;
      if (this.#late > 0) this.#late--;
      else this.#offered = Math.max(0, this.#offered - 1);
      // Whoever took a seat and could not send is still there, and so is what the seat was for.
      if (standing === 0 && socket) this.#wanted = Math.max(0, this.#wanted - 1);
      this.#offer();
      if (socket) onConnection(socket);
    };
    this.#door = new Door(relay.fd, relayBacklog, true, (letter) => {
      const conclude = receive(letter, isPaused, take);
      if (letter.destroyed) return;
      this.#unread.add(conclude);
      letter.once('close', () => this.#unread.delete(conclude));
      if (this.#unread.size <= maxUnread) return;
      const [oldest] = this.#unread;
      this.#unread.delete(oldest as () => void);
      oldest?.();
    });
  }

  set seats(count: number) {
    this.#wanted = count;
    this.#offer();
  }

  open(): void {
    this.#isOpen = true;
    this.#door.open();
    this.#offer();
  }

  shut(): void {
    this.#isOpen = false;
    this.#offer();
    this.#door.shut();
  }

  remove(): void {
    this.#isOpen = false;
    this.#offer();
    this.#door.remove();
    for (const conclude of this.#unread) conclude();
  }

  /**
   * Offers what is missing, and takes back what is too much. Who has got a seat already is let in all the same, by
   * us when we open again or by somebody else.
   */
  #offer(): void {
    const wanted = this.#isOpen ? this.#wanted : 0;
    const missing = wanted - this.#offered - this.#late;
    if (missing > 0) {
      offerSeats(this.#relay, missing);
      this.#offered += missing;
    }
    for (; this.#offered > wanted; this.#offered--) if (!takeSeat(this.#relay)) this.#expectLate();
  }

  /** No seat was taken for it. */
  #refuse(sender: Sender): void {
    this.#refused++;
    if (now() - this.#refusedToldAt < refusedEveryMs) return;
    this.#refusedToldAt = now();
    this.#onRefused?.(this.#refused, sender);
    this.#refused = 0;
  }

  #expectLate(): void {
    this.#late++;
    clearTimeout(this.#forgetting);
    // Or whoever had taken it is dead.
    this.#forgetting = setTimeout(() => {
      this.#late = 0;
      this.#offer();
    }, lateMs).unref();
  }
}
