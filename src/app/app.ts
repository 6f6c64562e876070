// The interface of the user's app: every kind of app is adapted to it. Knows nothing of models, processes or threads.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

export type AppKind = 'server' | 'listener' | 'fastify' | 'fetch' | 'directory' | 'demo' | 'routes';

export interface App {
  readonly kind: AppKind;
  /** Answers one request. If it throws or rejects, the client gets a 500, or the status of an `HttpError`. */
  handle(req: IncomingMessage, res: ServerResponse): unknown;
  /**
   * The app's own `http.Server`, which never listens. The pipeline calls its listeners for `connection`, `upgrade`,
   * `connect`, `checkContinue`, `checkExpectation` and `clientError`, including those that the app adds later, and
   * applies the limits that the app has set on it while loading.
   */
  readonly server?: Server;
  /** It answers each request in a later turn of the event loop, as it gives them to others. */
  readonly isElsewhere?: boolean;
  /** It tells clients itself to send a body that they hold back ("Expect: 100-continue"), without `server`. */
  readonly continues?: boolean;
  /** Closes the resources of the app, such as Fastify's `close()`, after its last connection has ended. */
  close?(): Promise<void>;
}
