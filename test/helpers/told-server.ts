// A control socket that tells what a test says, where no real server could be brought to it.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Status, WorkerStatus } from '../../src/control/protocol.ts';

export interface Told {
  status: Status;
  workers: readonly WorkerStatus[];
}

export class ToldServer implements AsyncDisposable {
  readonly #server: Server;
  /** May be changed at any time. */
  readonly told: Told;
  /** Called for each request. */
  onLook: () => void = () => {};

  private constructor(told: Told) {
    this.told = { ...told };
    this.#server = createServer(({ url }, response) => {
      this.onLook();
      response.setHeader('connection', 'close');
      response.end(`${JSON.stringify(url === '/status' ? this.told.status : this.told.workers)}\n`);
    });
  }

  static async listen(control: string, told: Told): Promise<ToldServer> {
    const one = new ToldServer(told);
    await once(one.#server.listen(control), 'listening');
    return one;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
