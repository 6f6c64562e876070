// What the crowd of clients is told to do, and what it tells: plain data that crosses to a process of its own, so that
// its event loop is neither the server's nor the prover's.

/** How a client asks. */
export type Habit = 'kept-alive' | 'one request each' | 'slow head' | 'slow body';

export interface Job {
  readonly host: string;
  readonly port: number;
  /** The control socket of the server: when the prover is gone, nobody else ends one that has been upgraded. */
  readonly control: string;
  /** What is asked for with GET, and the status that it is answered with. */
  readonly path: string;
  readonly status: number;
  /** What takes bodies; absent where there are no slow bodies. */
  readonly upload?: { readonly path: string; readonly status: number };
  /** How many clients of each habit. */
  readonly clients: Readonly<Record<Habit, number>>;
  /** Between an answer and the next request (milliseconds). */
  readonly thinkMs: number;
  /** In which the head of a slow head is sent, and the body of a slow body (milliseconds). */
  readonly headMs: number;
  readonly bodyMs: number;
}

export type Order =
  /** Answered with `ready` when something has become of the first request of each client. */
  | { readonly order: 'begin'; readonly job: Job }
  /** Answered with `counted`: what has been since the last count. The count begins anew. */
  | { readonly order: 'count' }
  /** Answered with `connected`. */
  | { readonly order: 'look' }
  /** No request is begun any more; answered with `counted` when those that were under way have come to their end. */
  | { readonly order: 'finish' };

export type Message =
  | { readonly told: 'ready' }
  | { readonly told: 'counted'; readonly count: Count }
  | { readonly told: 'connected'; readonly connected: readonly Connected[] };

/** A connection that is open, by the client's port. */
export interface Connected {
  readonly habit: Habit;
  readonly port: number;
  /** A request has been sent, at least in part, and not been answered in full. */
  readonly isAsking: boolean;
}

/** What became of the requests that have come to their end: each was answered, or is lost. */
export interface Count {
  readonly answered: number;
  readonly losses: readonly Loss[];
  /** Connections that were closed between two requests, announced or not. */
  readonly reconnects: readonly Loss[];
  /** The longest of each habit whose requests are sent at once, so that their time is the server's. */
  readonly pauses: readonly Pause[];
}

export interface Moment {
  readonly habit: Habit;
  /** Since the count began (milliseconds). */
  readonly atMs: number;
}

/** From the last byte of a request to the last byte of its answer, or until it was lost. */
export interface Pause extends Moment {
  readonly ms: number;
}

/** Of one request, or one connection. */
export interface Loss extends Moment {
  readonly reason: string;
}
