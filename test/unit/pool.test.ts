// A pool over workers that a test plays: how connections wait for them.
import { expect, test } from 'vitest';
import type { IncomingConnection } from '../../src/connection/incoming.ts';
import { Pool } from '../../src/strategies/pool.ts';
import type { Hosting } from '../../src/strategies/strategy.ts';
import type { Worker } from '../../src/worker/worker.ts';

const never = new Promise<never>(() => {});
const noLimits = { requests: 0, memory: 0, ageMs: 0 };

test('a connection that cannot be placed holds up none of those that wait behind it', async () => {
  const served: unknown[] = [];
  const lost: string[] = [];
  const worker = {
    ...{ id: 1, generation: 1, stage: 'ready', isHeld: false, isUnresponsive: false, active: 0, accepts: [] },
    ...{ ready: Promise.resolve(), exit: never, closed: never },
    setMigration: () => {},
    kill: () => {},
    give: async (connection: IncomingConnection) => {
      served.push(connection);
      return { ended: Promise.resolve() };
    },
  };
  const hosting = {
    workers: 1,
    placing: { balance: 'ip-hash', weights: [] },
    recycle: noLimits,
    startWorker: () => worker as unknown as Worker,
    listener: { changed: () => {}, connectionLost: (reason: string) => lost.push(reason) },
  };
  const pool = new Pool(hosting as unknown as Hosting, 1);
  let isBroken = false;
  const connections = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((host) => ({
    facts: { requests: 0, isMigrated: false },
    get client() {
      if (isBroken && host === '192.0.2.1') throw new Error('broken');
      return { host };
    },
    close: () => {},
  }));
  const given = connections.map((connection) => pool.give(connection as unknown as IncomingConnection));
  isBroken = true;
  await pool.start();
  await Promise.all(given);
  expect(served).toEqual(connections.slice(1));
  expect(lost).toEqual(['broken']);
  pool.kill();
});
