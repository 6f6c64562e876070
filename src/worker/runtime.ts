// How a worker is started and reached: as a process or as a thread. To everything above, both are the same.
import type { IncomingConnection } from '../connection/incoming.js';
import type { Unreadable } from '../hang/loop-stack.js';
import type { LostRequest, RequestInFlight } from '../reports/report.js';
import type { SecondaryRole } from '../secondary/address.js';
import type { ThreadPort } from '../tasks/wire.js';
import type { DumpMessage, FromWorker, SocketMessage, ToWorker } from './messages.js';

/** How a process or thread has ended. */
export interface UnitExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** In words, such as `it exited with code 1`. */
  readonly reason: string;
  /** Where more is known than the code and the signal say. */
  readonly cause?: 'hang' | 'out-of-memory' | undefined;
  /** The requests that were in flight. */
  readonly requests: readonly LostRequest[];
}

/** A process or a thread. */
export interface Unit {
  readonly pid: number;
  /** 0 for a process. */
  readonly tid: number;
  /** How long it may take to exit by itself after it was to have drained (milliseconds). */
  readonly exitGraceMs: number;
  /** Settles when it has ended, and all messages that it had sent have been delivered. */
  readonly exited: Promise<UnitExit>;
  /** Bytes of its own; 0 where that is not known. */
  readonly memory: number;
  /** Processor time that it has wanted since it was started (milliseconds); undefined where that is not known. */
  readonly wantedCpuMs: number | undefined;
  /** Connections that it has taken or refused, of those handed over, which it comes to in their order. */
  readonly handled: number;
  /** Its event loop waits for events, now; undefined where that is not known. */
  readonly waitsForEvents: boolean | undefined;
  /** Open connections that it has accepted itself, where that is known. */
  readonly accepted: number;
  /** Where it takes requests from, once it is ready; undefined where it serves connections. */
  readonly tasks?: ThreadPort | undefined;

  /** The requests in flight as its journal has them, the oldest first: also of one that is blocked. None without a journal. */
  inFlight(): readonly RequestInFlight[];
  /** @param listener called for each message of the worker, already checked */
  listen(listener: (message: FromWorker) => void): void;
  send(message: ToWorker): void;
  /**
   * Hands the connection over. It stays the host's until it is taken.
   * @returns false when its client has gone. @throws SystemCallError (EMFILE); nothing was handed over then
   */
  hand(connection: IncomingConnection, id: number): boolean;
  /** Sends a copy of the descriptor in the message, if it has one. @throws SystemCallError (EMFILE) */
  sendSocket(message: SocketMessage): void;
  /** Sends a copy of `fd` in the message. @throws SystemCallError (EMFILE) */
  sendDump(message: DumpMessage, fd: number): void;
  /**
   * Interrupts the code that blocks its event loop, so that it answers the question with this number. Absent where it has
   * no event loop of its own that runs the app. @returns why that is impossible
   */
  interrupt?(question: number): Unreadable | undefined;
  /** From now on it may block its event loop for as long as it likes, or no longer. */
  setMayBlock(mayBlock: boolean): void;
  /** The worker is ready: from now on its event loop is watched. */
  watch(): void;
  kill(): void;
  /**
   * Takes back the connections that it has not come to, as its event loop is blocked. Absent where that is impossible.
   * @returns the id of the last one that it has come to; undefined when it has just come to one, and nothing is taken back
   */
  revoke?(handed: number): number | undefined;
}

/** What a new worker is to know besides what all of its group know. */
export interface StartOptions {
  readonly id: number;
  readonly generation: number;
  /** It receives the connections of others as soon as it is ready: it warms up before. */
  readonly warmsUp: boolean;
  /** An earlier worker has found this app to be ready (--ready-path): it is not asked again. */
  readonly isKnownReady: boolean;
  /** It gets no connections before it is told to `open`. */
  readonly isHeld: boolean;
  /** Whether it accepts on the sockets of the app's secondary servers. */
  readonly secondary: SecondaryRole;
}
