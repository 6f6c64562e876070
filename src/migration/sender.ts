// Gives connections away, to whoever takes them at the relay: each at a moment at which nothing of it is here, neither
// a byte of its next request nor one of its last answer. The client notices nothing.
import { descriptorOf, restingIn } from '../os/node-socket.js';
import { movesOf, offerSeats, post, type Relay, seatMs, takeSeat } from './channel.js';
import type { AdoptingServer } from '../pipeline/adopting-server.js';
import type { Connection } from '../pipeline/connection.js';
import type { NamedResponse } from '../pipeline/response.js';

/** As long as there is no seat they are asked for less and less often, at last every so many milliseconds. */
const seldom = 32;

export class Carrier {
  readonly #relay: Relay;
  readonly #server: AdoptingServer;
  readonly #connections: ReadonlySet<Connection>;
  readonly #isChosen: (connection: Connection) => boolean;
  #later: NodeJS.Timeout | undefined;
  #laterMs = seatMs;
  #soon: NodeJS.Immediate | undefined;
  #isOff = false;
  #isHeld = false;
  #hasSeat = false;
  #keeps = false;

  /** @param connections all those of `server`. @param isChosen which of them are to be given away */
  constructor(
    relay: Relay,
    server: AdoptingServer,
    connections: ReadonlySet<Connection>,
    isChosen: (connection: Connection) => boolean = () => true,
  ) {
    this.#relay = relay;
    this.#server = server;
    this.#connections = connections;
    this.#isChosen = isChosen;
  }

  /** Nobody takes connections any more. */
  get isOff(): boolean {
    return this.#isOff;
  }

  /** Changes with each connection that anybody gives away at the relay. */
  get moves(): string | undefined {
    return movesOf(this.#relay);
  }

  /** Gives nothing away for so many milliseconds. */
  holdFor(ms: number): void {
    this.#isHeld = true;
    setTimeout(() => {
      this.#isHeld = false;
      this.look();
    }, ms).unref();
  }

  /** Looks, at the end of this turn of the event loop, which connections can go. */
  look(): void {
    if (this.#isOff || this.#isHeld) return;
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.#giveAway();
    });
  }

  /** With this answer a connection, if it is one of those, may come to rest. */
  expectEnd(response: NamedResponse, connection: Connection | undefined): void {
    if (this.#isOff || !connection || !this.#isChosen(connection)) return;
    response.once('close', () => this.look());
  }

  /** From now on a seat is kept until a connection comes to rest: who seldom does would never meet one. */
  keepSeat(): void {
    if (this.#keeps || this.#isOff) return;
    this.#keeps = true;
    this.#giveAway();
  }

  stop(): void {
    this.#isOff = true;
    clearTimeout(this.#later);
    this.#giveBack();
  }

  #giveAway(): void {
    clearTimeout(this.#later);
    if (this.#isOff) return;
    const chosen = [...this.#connections].filter((one) => one.mayRest && this.#isChosen(one));
    const candidates = chosen.filter(({ canRest }) => canRest);
    const isWanted = candidates.length > 0 || (this.#keeps && chosen.length > 0);
    if (!isWanted) this.#giveBack();
    else if (!this.#takeSeat()) this.#tryLater();
    else if (candidates.length > 0) this.#fillSeats(candidates);
  }

  /** For the first of them there is a seat. */
  #fillSeats(candidates: readonly Connection[]): void {
    const resting = restingIn(this.#server);
    const ready = candidates.filter(({ socket }) => socket.bytesRead === 0 || resting.has(socket));
    for (const { socket, requests } of ready) {
      const fd = descriptorOf(socket) as number; // it is open
      const outcome = this.#takeSeat() ? post(this.#relay, fd, requests) : 'full';
      this.#hasSeat = false;
      if (outcome === 'gone') this.stop();
      if (outcome !== 'posted') break;
      socket.destroy(); // our copy: closes a descriptor and sends nothing
    }
    if (!this.#keeps) this.#giveBack();
    if (ready.some(({ socket }) => !socket.destroyed)) this.#tryLater();
  }

  #takeSeat(): boolean {
    this.#hasSeat ||= takeSeat(this.#relay);
    if (this.#hasSeat) this.#laterMs = seatMs;
    return this.#hasSeat;
  }

  #giveBack(): void {
    if (this.#hasSeat) offerSeats(this.#relay, 1);
    this.#hasSeat = false;
  }

  #tryLater(): void {
    if (this.#isOff) return;
    this.#later = setTimeout(() => {
      this.#laterMs = Math.min(seldom, 2 * this.#laterMs);
      this.#giveAway();
    }, this.#laterMs);
  }
}
