// Slow clients: hundreds at once do not keep others waiting, and where connections are scarce the slowest make room.
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.js';
import { repetitions } from '../helpers/repetitions.ts';
import { fixture, type Server, startServer } from '../helpers/server.js';
import { connect } from '../helpers/wire.js';
import { modes, SlowClient } from './slow-client.js';

const names = Object.keys(modes) as (keyof typeof modes)[];

interface Crowd {
  readonly size: number;
  readonly args: readonly string[];
  readonly tags?: string[];
}

const pooled: readonly Crowd[] = [{ size: 400, args: [] }];
// A process for each connection makes a lower limit as hard to hold, in less time and memory.
const models: Record<string, { crowds: readonly Crowd[]; alone: readonly string[] }> = {
  ppc: {
    crowds: [
      { size: 40, args: ['--max-connections=10'] },
      { size: repetitions({ few: 150, all: 400 }), args: ['--max-connections=40'], tags: ['long'] },
    ],
    alone: [],
  },
  tpc: {
    crowds: [
      { size: 40, args: ['--max-connections=25'] },
      { size: repetitions({ few: 100, all: 400 }), args: [], tags: ['long'] },
    ],
    alone: [],
  },
  prefork: { crowds: pooled, alone: ['--workers=1'] },
  prethread: { crowds: pooled, alone: ['--threads=2'] },
  hybrid: { crowds: pooled, alone: ['--workers=1', '--threads=2'] },
};

for (const [model, { crowds, alone }] of Object.entries(models)) {
  // What makes room is in each event loop, whatever it is that has it.
  describe.concurrent(model, { tags: ['prethread', 'hybrid'].includes(model) ? ['long'] : [] }, () => {
    for (const { size, args, tags = [] } of crowds) {
      test(`with ${size} slow clients a request is answered, and slow headers are shed`, { tags }, async () => {
        await using server = await start(model, ['--header-timeout=2s', ...args]);
        const clients: SlowClient[] = [];
        const dribbling = setInterval(() => clients.forEach((client) => void client.dribble()), 1500);
        try {
          while (clients.length < size) {
            const next = names.map((name) => new SlowClient(server.url, name));
            clients.push(...next);
            // Four at a time: the point is that they are there, not that they came at once.
            await Promise.all(next.map((client) => client.accepted()));
          }
          for (let i = 0; i < 3; i++) await probe(server);
          const slowHeaders = clients.filter(({ name }) => name === 'headers');
          await eventually('slow headers to be shed', () => slowHeaders.every(({ closed }) => closed));
        } finally {
          clearInterval(dribbling);
          for (const client of clients) client.leave();
        }
      });
    }

    test('at --max-connections the stalled make room; not those that wait for the app, nor those that move', async () => {
      const limits = ['--max-connections=8', '--header-timeout=10m', '--request-timeout=10m'];
      await using server = await start(model, [...limits, ...alone]);
      const file = path.join(tmpdir(), `mpserve-slow-${process.pid}-${model}`);
      writeFileSync(file, '');
      using busy = await connect(server.url);
      await busy.request(`GET /held?by=${file}`);
      using lively = await connect(server.url);
      await lively.request('POST /echo', { 'content-length': '1000000' });
      const moving = setInterval(() => void lively.write('x'.repeat(1000)), 200);
      const stalled = Array.from({ length: 6 }, () => new SlowClient(server.url, 'headers'));
      const watching = setInterval(() => stalled.forEach((client) => void client.look()), 50);
      try {
        for (let i = 0; i < 3; i++) await probe(server);
        await eventually('a stalled client to be closed', () => stalled.some(({ closed }) => closed));
        expect(lively.socket.readyState).toBe('open');
        rmSync(file);
        expect((await busy.response()).body).toBe('released');
      } finally {
        rmSync(file, { force: true });
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
  const answer = within('an answer beside slow clients', wire.ask('GET /', { connection: 'close' }));
  expect((await answer).body).toBe('ok');
}
