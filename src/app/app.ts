// The one shape behind which every kind of user code runs. Knows nothing of models, processes or threads.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

export type AppKind = 'server' | 'listener' | 'fastify' | 'fetch' | 'directory' | 'demo';

export interface App {
  readonly kind: AppKind;
  /** Answers one request. What it throws, or what its promise rejects with, becomes a 500 (or an `HttpError`'s status). */
  handle(req: IncomingMessage, res: ServerResponse): unknown;
  /**
   * The app's own `http.Server`, which never listens. The pipeline honours its listeners for `upgrade`,
   * `connect`, `checkContinue`, `checkExpectation` and `clientError`, also those that are added later.
   */
  readonly server?: Server;
  /** Lets go of what the app holds (a Fastify `close()`), after its last connection ended. */
  close?(): Promise<void>;
}
