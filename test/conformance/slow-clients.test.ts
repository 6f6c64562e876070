// Slow clients: 400 at once do not keep others waiting, and where connections are scarce the slowest make room.
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.js';
import { fixture, type Server, startServer } from '../helpers/server.js';
import { connect } from '../helpers/wire.js';
import { modes, SlowClient } from './slow-client.js';

const names = Object.keys(modes) as (keyof typeof modes)[];
const perMode = 100;

// A process for each connection makes a limit of 100 as hard to hold as 256, in less time and memory.
const models: Record<string, { many: string[]; alone: string[] }> = {
  ppc: { many: ['--max-connections=100'], alone: [] },
  tpc: { many: [], alone: [] },
  prefork: { many: [], alone: ['--workers=1'] },
  prethread: { many: [], alone: ['--threads=2'] },
  hybrid: { many: [], alone: ['--workers=1', '--threads=2'] },
};

for (const [model, args] of Object.entries(models)) {
  describe(model, () => {
    test('with 400 slow clients a request is answered, and slow headers are shed', {
      timeout: 300_000, // beside tests that start as many processes
    }, async () => {
      await using server = await start(model, ['--header-timeout=2s', ...args.many]);
      const clients: SlowClient[] = [];
      const dribbling = setInterval(() => clients.forEach((client) => void client.dribble()), 1500);
      try {
        for (let i = 0; i < perMode; i++) {
          const next = names.map((name) => new SlowClient(server.url, name));
          clients.push(...next);
          // Four at a time: the point is that they are there, not that they came at once.
          await Promise.all(next.map((client) => client.accepted(30_000)));
        }
        for (let i = 0; i < 3; i++) await probe(server);
        const slowHeaders = clients.filter(({ name }) => name === 'headers');
        await eventually('slow headers to be shed', () => slowHeaders.every(({ closed }) => closed), 20_000);
      } finally {
        clearInterval(dribbling);
        for (const client of clients) client.leave();
      }
    });

    test('at --max-connections the stalled make room; not those that wait for the app, nor those that move', {
      timeout: 60_000,
    }, async () => {
      const limits = ['--max-connections=8', '--header-timeout=60s', '--request-timeout=60s'];
      await using server = await start(model, [...limits, ...args.alone]);
      using busy = await connect(server.url);
      await busy.request('GET /wait?ms=3000');
      using lively = await connect(server.url);
      await lively.request('POST /echo', { 'content-length': '1000000' });
      const moving = setInterval(() => void lively.write('x'.repeat(1000)), 200);
      const stalled = Array.from({ length: 6 }, () => new SlowClient(server.url, 'headers'));
      const watching = setInterval(() => stalled.forEach((client) => void client.look()), 50);
      try {
        for (let i = 0; i < 3; i++) await probe(server);
        await eventually('a stalled client to be closed', () => stalled.some(({ closed }) => closed));
        expect(lively.socket.readyState).toBe('open');
        expect((await busy.response()).body).toBe('waited');
      } finally {
        clearInterval(moving);
        clearInterval(watching);
        for (const client of stalled) client.leave();
      }
    });
  });
}

function start(model: string, args: readonly string[]): Promise<Server> {
  return startServer({ app: fixture('conformance.cjs'), model, args });
}

/** A whole request, long before any limit of the server would have ended the slow ones. */
async function probe(server: Server): Promise<void> {
  using wire = await connect(server.url);
  const answer = within('an answer beside slow clients', wire.ask('GET /', { connection: 'close' }), 20_000);
  expect((await answer).body).toBe('ok');
}
