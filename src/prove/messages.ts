// The messages between the prover and the client pool, as plain data. The client pool is a process of its own, so its
// event loop is neither the server's nor the prover's.

/** How a client sends its requests. */
export type ClientType = 'kept-alive' | 'one request each' | 'slow head' | 'slow body';

/** Where the clients connect to. */
export interface Endpoint {
  /** A name or an address, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** For the header Host. */
  readonly authority: string;
}

export interface Workload {
  readonly endpoint: Endpoint;
  /**
   * If the prover dies, the client pool stops the server through this socket; the leash does not reach a successor. Absent if
   * the prover has not started the server.
   */
  readonly controlSocket?: string;
  /** The path that clients GET, and the expected status. */
  readonly path: string;
  readonly status: number;
  /** Other statuses that count as failed requests, not as lost ones. */
  readonly failureStatuses: readonly number[];
  /** The path that slow-body clients POST to, and the expected status; absent if there are no such clients. */
  readonly upload?: { readonly path: string; readonly status: number };
  readonly clients: Readonly<Record<ClientType, number>>;
  /** Between a response and the client's next request (milliseconds). */
  readonly thinkMs: number;
  /** How long a slow head, and a slow body, take to send (milliseconds). */
  readonly headMs: number;
  readonly bodyMs: number;
}

export interface OpenConnection {
  readonly clientType: ClientType;
  /** The client's port. */
  readonly port: number;
}

/** Completed requests: each was answered, failed or lost. */
export interface ClientStats {
  readonly answered: number;
  /** Requests that were answered with one of `failureStatuses`, unlike the app's normal responses. */
  readonly failures: readonly LossReason[];
  readonly losses: readonly LossReason[];
  /** Connections that the server closed between two requests, announced or not. */
  readonly reconnects: readonly LossReason[];
  /** The longest of each client type that sends its requests without delay. */
  readonly longestResponseTimes: readonly ResponseTime[];
}

/** From the last byte of a request to the last byte of its response, or until the request was lost. */
export interface ResponseTime {
  readonly clientType: ClientType;
  readonly ms: number;
  /** Since the last `stats` command (milliseconds). */
  readonly atMs: number;
}

/** Failed or lost requests, or connections that were closed between two requests, of one client type for one reason. */
export interface LossReason {
  readonly client: ClientType;
  readonly reason: string;
  readonly count: number;
  /** Of the first ten: since the last `stats` command; in results since the start of the trial's phase (milliseconds). */
  readonly atMs: readonly number[];
}

/** What has happened since the start. */
export interface Counts {
  readonly answered: number;
  readonly failed: number;
  readonly lost: number;
  readonly longestMs: number;
}
