// The messages between the prover and the client pool, as plain data. The client pool is a process of its own, so its
// event loop is neither the server's nor the prover's.

/** How a client sends its requests. */
export type ClientType = 'kept-alive' | 'one request each' | 'slow head' | 'slow body';

export interface Workload {
  /** On 127.0.0.1. */
  readonly port: number;
  /** If the prover dies, the client pool stops the server through this socket; the leash does not reach a successor. */
  readonly controlSocket: string;
  /** The path that clients GET, and the expected status. */
  readonly path: string;
  readonly status: number;
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
  /** Requests that were answered with 502 or 504, unlike the app's normal responses: their thread died, or was blocked. */
  readonly failures: readonly Loss[];
  readonly losses: readonly Loss[];
  /** Connections that the server closed between two requests, announced or not. */
  readonly reconnects: readonly Loss[];
  /** The longest of each client type that sends its requests without delay. */
  readonly longestResponseTimes: readonly ResponseTime[];
}

export interface ClientEvent {
  readonly clientType: ClientType;
  /** Since the last `stats` command (milliseconds). */
  readonly atMs: number;
}

/** From the last byte of a request to the last byte of its response, or until the request was lost. */
export interface ResponseTime extends ClientEvent {
  readonly ms: number;
}

/** A failed or a lost request, or a connection that was closed between two requests. */
export interface Loss extends ClientEvent {
  readonly reason: string;
}
