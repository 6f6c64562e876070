// The one shape behind which every kind of user code runs. Knows nothing of models, processes or threads.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

export type AppKind = 'server' | 'listener' | 'fastify' | 'fetch' | 'directory' | 'demo';

export interface App {
  readonly kind: AppKind;
  /** Answers one request. What it throws, or what its promise rejects with, becomes a 500 (or an `HttpError`'s status). */
  handle(req: IncomingMessage, res: ServerResponse): unknown;
  /**
   * The app's own `http.Server`, which never listens. The pipeline honours its listeners for `connection`,
   * `upgrade`, `connect`, `checkContinue`, `checkExpectation` and `clientError`, also those that are added later,
   * and the limits that it has been given by the time the app is loaded.
   */
  readonly server?: Server;
  /** Lets go of what the app holds (a Fastify `close()`), after its last connection ended. */
  close?(): Promise<void>;
}
