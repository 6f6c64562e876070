// What the host tells a worker, and what its service hears of it.
import { expect, test } from 'vitest';
import type { Placing } from '../../src/balance/policy.ts';
import { deferred } from '../../src/deferred.ts';
import { type MainOptions, WorkerMain } from '../../src/worker/main.ts';
import type { FromWorker } from '../../src/worker/messages.ts';
import type { Service } from '../../src/worker/service.ts';

test('the policy that a host of threads gets while it starts is that of its service', async () => {
  const made = deferred<Service>();
  const ready = deferred<void>();
  let policy: Placing | undefined;
  const main = new WorkerMain({
    settings: { isHeld: false, lifecycle: { hangTimeout: 0 } },
    tid: 0,
    makeService: () => made.promise,
    memory: () => undefined,
    cacheMemory: () => undefined,
    say: (message: FromWorker) => void (message.type === 'ready' && ready.resolve()),
  } as unknown as MainOptions);
  main.start([]);
  main.handle({ type: 'placing', placing: { balance: 'lag', weights: [] } });
  made.resolve({
    answered: 0,
    start: async () => {},
    setDenylist: () => {},
    setMigration: () => {},
    setPlacing: (placing: Placing) => {
      policy = placing;
    },
  } as unknown as Service);
  await ready.promise;
  expect(policy).toEqual({ balance: 'lag', weights: [] });
});

test('a worker that drains has its service end sooner when it is told so', async () => {
  const ready = deferred<void>();
  const draining = deferred<void>();
  const sooner: unknown[] = [];
  const main = new WorkerMain({
    settings: { isHeld: false, lifecycle: { hangTimeout: 0 } },
    tid: 0,
    makeService: async () =>
      ({
        answered: 0,
        start: async () => {},
        setDenylist: () => {},
        setMigration: () => {},
        drain: () => new Promise(() => draining.resolve()),
        drainSooner: (...order: unknown[]) => sooner.push(order),
      }) as unknown as Service,
    memory: () => undefined,
    cacheMemory: () => undefined,
    say: (message: FromWorker) => void (message.type === 'ready' && ready.resolve()),
  } as unknown as MainOptions);
  main.start([]);
  await ready.promise;
  main.handle({ type: 'drain', ms: 60_000, othersServe: true });
  await draining.promise;
  main.handle({ type: 'drain', ms: 1000, othersServe: true });
  main.handle({ type: 'drain', ms: 1000, othersServe: false });
  expect(sooner).toEqual([
    [1000, true],
    [1000, false],
  ]);
});
