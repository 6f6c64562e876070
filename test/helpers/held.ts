// A request that stays in the app until the test lets it go, however long that takes. For servers of `life.cjs`.
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Server } from './server.ts';
import { connect, type Wire } from './wire.ts';

let count = 0;

export class HeldRequest implements Disposable {
  private constructor(
    /** On which its answer comes. */
    readonly wire: Wire,
    private readonly file: string,
    /** Which worker has it, as `life.cjs` answers. */
    readonly worker: string,
  ) {}

  /** Settles when the request has come to the app. */
  static async begin(server: Server): Promise<HeldRequest> {
    const file = path.join(tmpdir(), `mpserve-held-${process.pid}-${performance.now()}-${count++}`);
    writeFileSync(file, '');
    const target = `/held?by=${file}`;
    const wire = await connect(server.url);
    await wire.request(`GET ${target}`);
    const isArrival = ({ seen, url }: Record<string, unknown>) => seen === 'arrived' && url === target;
    const { worker } = await server.waitFor('the request to arrive', isArrival);
    return new HeldRequest(wire, file, String(worker));
  }

  /** Has the app answer it. */
  release(): void {
    rmSync(this.file, { force: true });
  }

  [Symbol.dispose](): void {
    this.release();
    this.wire.close();
  }
}
