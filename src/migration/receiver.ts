// Receives connections from the migration channel, and offers credits for as many as could be served now. A message may
// be accepted before its sender has written it: it is polled for a while, since no event loop waits for it.
import type { Socket } from 'node:net';
import { IncomingConnection } from '../connection/incoming.js';
import { ListeningSocket } from '../connection/listening-socket.js';
import { isReadable } from '../os/descriptor.js';
import { libc } from '../os/libc.js';
import { descriptorOf } from '../os/node-socket.js';
import { receiveMessage, type Sender } from '../os/rights-message.js';
import { RareReport } from '../rare-report.js';
import { channelBacklog, type MigrationChannel } from './channel.js';
import { offerCredits, takeCredit } from './credits.js';

/** @param count messages since the last call that no server of ours sends; `sender` is that of the last one */
export type OnRefused = (count: number, sender: Sender) => void;

const SHUT_RD = 0;

/** How often, and how many milliseconds apart, a message that has been accepted and is empty is looked at again. */
const maxLooks = 500;
const lookEveryMs = 2;

/** A sender that has taken a credit sends within this time or never (milliseconds): a request may be half read. */
const creditLifeMs = 3000;

/** Accepted messages that are still empty; beyond these the oldest is given up. */
const maxUnread = 64;

/** Refused messages are reported this often at most (milliseconds). */
const reportRefusedEveryMs = 60_000;

export class Receiver {
  readonly #channel: MigrationChannel;
  readonly #socket: ListeningSocket;
  readonly #onConnection: (connection: IncomingConnection) => void;
  /** No credit was taken for these messages. */
  readonly #refused: RareReport<Sender>;
  /** It always offers this many; undefined where `credits` says how many. */
  readonly #standing: number | undefined;
  #wanted: number;
  #offered = 0;
  /** Credits that could not be taken back, because senders had taken them: their connections may still come. */
  #outstanding = 0;
  #expiring: NodeJS.Timeout | undefined;
  #isOpen = false;
  /** For each message that is still empty, a function that stops waiting for it. */
  readonly #unread = new Set<() => void>();

  /**
   * @param channel whose listening descriptor belongs to the receiver from now on
   * @param standing credits that it always offers; 0: as `credits` says
   */
  constructor(
    channel: MigrationChannel,
    standing: number,
    onConnection: (connection: IncomingConnection) => void,
    onRefused: OnRefused = () => {},
  ) {
    this.#channel = channel;
    this.#standing = standing || undefined;
    this.#wanted = standing;
    this.#onConnection = onConnection;
    this.#refused = new RareReport(reportRefusedEveryMs, onRefused);
    this.#socket = new ListeningSocket(channel.fd, channelBacklog, { isPaused: true, takesAll: false }, (message) =>
      this.#await(message),
    );
  }

  /** How many connections could be served well now. */
  set credits(count: number) {
    this.#wanted = count;
    this.#offer();
  }

  resume(): void {
    this.#isOpen = true;
    this.#socket.resume();
    this.#offer();
  }

  suspend(): void {
    this.#isOpen = false;
    this.#offer();
    this.#socket.suspend();
  }

  /** Messages that have been sent are still read. */
  close(): void {
    this.#isOpen = false;
    this.#offer();
    this.#socket.close();
    for (const readNow of this.#unread) readNow();
  }

  #await(message: Socket): void {
    const fd = descriptorOf(message) as number; // it is open
    let looks = 0;
    let later: NodeJS.Timeout | undefined;
    const read = (): void => {
      clearTimeout(later);
      this.#unread.delete(read);
      if (message.destroyed) return;
      // From now on the sender's sendmsg fails, and the sender keeps its connection; a message sent before is still there.
      libc().shutdown(fd, SHUT_RD);
      const received = receiveMessage(fd);
      message.destroy();
      if (received === 'nothing') this.#received(undefined);
      else if ('refused' in received) this.#refused.add(received.refused);
      else {
        const { fd, ...facts } = received;
        this.#received(new IncomingConnection(fd, { ...facts, isMigrated: true }));
      }
    };
    const look = (): void => {
      if (!isReadable(fd) && looks++ < maxLooks) later = setTimeout(look, lookEveryMs);
      else read();
    };
    this.#unread.add(read);
    look();
    const [oldest] = this.#unread;
    if (this.#unread.size > maxUnread) oldest?.();
  }

  /** @param connection undefined when the sender had taken a credit, and could not send */
  #received(connection: IncomingConnection | undefined): void {
    if (this.#outstanding > 0) this.#outstanding--;
    else this.#offered = Math.max(0, this.#offered - 1);
    // Without a connection, what the credit stands for is still free.
    if (this.#standing === undefined && connection) this.#wanted = Math.max(0, this.#wanted - 1);
    this.#offer();
    if (connection) this.#onConnection(connection);
  }

  /** Offers the credits that are missing, and takes back those that are too many. */
  #offer(): void {
    const wanted = this.#isOpen ? this.#wanted : 0;
    const missing = wanted - this.#offered - this.#outstanding;
    if (missing > 0) {
      offerCredits(this.#channel, missing);
      this.#offered += missing;
    }
    for (; this.#offered > wanted; this.#offered--) if (!takeCredit(this.#channel)) this.#expectLate();
  }

  /** A sender has the credit: its connection arrives here when this receiver resumes, or at another. */
  #expectLate(): void {
    this.#outstanding++;
    clearTimeout(this.#expiring);
    this.#expiring = setTimeout(() => {
      this.#outstanding = 0; // the sender is dead
      this.#offer();
    }, creditLifeMs).unref();
  }
}
