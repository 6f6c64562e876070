// Whether a server loses nothing of what kept-alive clients ask for while something is done to it.
import { expect } from 'vitest';
import { Clients } from './clients.ts';
import { eventually } from './eventually.ts';
import type { Server } from './server.ts';

const clientsEach = 2;
const some = 10;

/** @param targets for each of which there are clients */
export async function losesNone(
  server: Server,
  act: () => Promise<unknown>,
  targets: readonly string[] = ['/'],
): Promise<void> {
  const all = targets.map((target) => new Clients(server.url, clientsEach, 'kept-alive', target));
  await eventually('answers', () => all.every(({ done }) => done > some));
  await act();
  const before = all.map(({ done }) => done);
  await eventually('further answers', () => all.every(({ done }, i) => done > (before[i] as number) + some));
  for (const clients of all) {
    const { failures, reconnects } = await clients.stop();
    expect({ failures, reconnects }).toEqual({ failures: [], reconnects: 0 });
  }
}
