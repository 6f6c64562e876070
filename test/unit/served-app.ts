// Serves an `App` on a free port with plain `node:http`, and answers its errors as the pipeline does.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { App } from '../../src/app/app.ts';

export interface ServedApp extends AsyncDisposable {
  readonly url: string;
  /** What `handle` threw or rejected with, in order. */
  readonly errors: unknown[];
}

export async function serveApp(app: App): Promise<ServedApp> {
  const errors: unknown[] = [];
  const server = http.createServer(async (req, res) => {
    try {
      await app.handle(req, res);
    } catch (error) {
      errors.push(error);
      if (res.headersSent) res.destroy();
      else res.writeHead((error as { status?: number }).status ?? 500).end();
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    errors,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}
