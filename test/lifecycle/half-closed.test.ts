// Clients that end their side of the connection after their last request (shutdown(2) with SHUT_WR) while the server reloads:
// no more of them go without their answer than plain Node leaves without. (Where an app takes longer than a turn of the event
// loop, Node cuts most of the answers, and how many is a matter of the machine's speed.)
import path from 'node:path';
import { expect, test } from 'vitest';
import { progress } from '../helpers/eventually.ts';
import { repetitions } from '../helpers/repetitions.ts';
import { fixture, root, type Server, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const targets = ['/', '/later'] as const;
type Target = (typeof targets)[number];

const app = fixture('half-closed.cjs');
const reference = path.join(root, 'test/conformance/reference.cjs');

/** Clients that come again and again, each with up to three requests on a connection, the last of which ends it. */
class HalfClosingClients {
  readonly #url: string;
  readonly #running: Promise<unknown>;
  #isOver = false;
  /** By what was asked last. */
  readonly answered = { '/': 0, '/later': 0 };
  readonly cut = { '/': 0, '/later': 0 };

  constructor(url: string, count: number) {
    this.#url = url;
    this.#running = Promise.all(Array.from({ length: count }, (_, i) => this.#run(i)));
    this.#running.catch(() => {}); // also when a reload has failed before `stop`
  }

  get done(): number {
    return targets.reduce((sum, target) => sum + this.answered[target] + this.cut[target], 0);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(start: number): Promise<void> {
    for (let i = start; !this.#isOver; i++) {
      const last = targets[i % targets.length] as Target;
      using wire = await connect(this.#url);
      // A connection that is kept may be between two workers when the last request comes.
      for (let before = 0; before < (i >> 2) % 3; before++)
        expect((await wire.ask(`GET /?${before}`)).status).toBe(200);
      await wire.request(`GET ${last}`);
      wire.end();
      const text = (await wire.rest()).toString('latin1');
      if (text.endsWith(`\r\n\r\nanswer to ${last}`)) this.answered[last]++;
      else this.cut[last]++;
    }
  }
}

async function reload(server: Server, times: number): Promise<void> {
  for (let i = 1; i <= times; i++) {
    server.child.kill('SIGHUP');
    await server.waitForMany('reloads', ({ event }) => /^(reloaded|operation-.*)$/.test(String(event)), i);
    expect(server.lines.filter(({ event }) => String(event).startsWith('operation-'))).toEqual([]);
  }
}

async function countCut(server: Server, work: (clients: HalfClosingClients) => Promise<void>) {
  const clients = new HalfClosingClients(server.url, 8);
  await work(clients);
  await clients.stop();
  return clients;
}

async function compare(model: string, reloads: number): Promise<void> {
  const args = ['--keep-alive-timeout=60s'];
  await using server = await startServer({ app, model, args: [...args, '--probation=0'] });
  const ours = await countCut(server, () => reload(server, reloads));
  await using plain = await startServer({ script: reference, app, args });
  const nodes = await countCut(plain, (clients) => progress('answers', () => clients.done, ours.done));
  expect(nodes.cut).toEqual({ '/': 0, '/later': 0 });
  expect(ours.cut).toEqual(nodes.cut);
}

test('prefork: 5 reloads', () => compare('prefork', 5));

const reloads = repetitions({ few: 20, all: 200 });
test(`prefork: ${reloads} reloads`, { tags: 'long' }, () => compare('prefork', reloads));

test.each(['prethread', 'hybrid', 'ppc', 'tpc'])('%s: 10 reloads', { tags: 'long' }, (model) => compare(model, 10));
