// --sticky: the connections of a session meet the worker that has its cart, whatever happens to the other workers.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventually, within } from '../helpers/eventually.ts';
import { repeating } from '../helpers/placements.ts';
import { repetitions } from '../helpers/repetitions.ts';
import { fixture } from '../helpers/server.ts';
import { Site } from '../helpers/site.ts';
import { connect, isRefused, type Response, type Wire } from '../helpers/wire.ts';

const manyCarts = repetitions({ few: 100, all: 1000 });
const carts = readFileSync(fixture('carts.cjs'), 'utf8');
const models = [
  ['prefork', '--workers'],
  ['prethread', '--threads'],
] as const;
const tellsItsEnd = `
process.once('exit', () => require('node:fs').writeSync(1, '{"event":"left"}\\n'));
`;

function start([model, unit]: readonly [string, string], rule: string, ...more: string[]): Promise<Site> {
  const args = [unit, '4', '--accept', 'dispatch', '--sticky', rule, ...more];
  return Site.start(model, args, {}, {}, undefined, carts + tellsItsEnd);
}

async function askOnce(url: string, line: string, headers: Record<string, string>): Promise<Response> {
  using wire = await connect(url);
  await wire.request(line, { connection: 'close', ...headers });
  return await wire.response(); // before it is closed
}

/** A client with a cart, each of whose requests has a connection of its own. */
class Shopper {
  readonly #url: string;
  #name: string | undefined;
  /** Where its session has been, in order. */
  readonly places: string[] = [];
  /** As many as it has put into the cart since it got it. */
  #items = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** @returns false when the connection ends without an answer */
  async buy(): Promise<boolean> {
    const cookie: Record<string, string> = this.#name === undefined ? {} : { cookie: this.#name };
    const answer = await askOnce(this.#url, 'GET /', cookie).catch(() => undefined);
    if (!answer) return false;
    const { headers, body } = answer;
    const given = headers['set-cookie']?.split(';')[0];
    const { items, here } = JSON.parse(body);
    if (given !== undefined) {
      this.#name = given;
      this.#items = 0;
    }
    if (this.places.at(-1) !== here) this.places.push(here);
    expect(items).toBe(++this.#items);
    return true;
  }
}

async function placedAgain(site: Site): Promise<number> {
  return (await site.ask('GET', '/status')).json.sessions.placedAgain;
}

/** Has each of the shoppers buy some items, `atOnce` of them at a time. @returns how many connections were lost */
async function shop(shoppers: readonly Shopper[], each: number, atOnce: number): Promise<number> {
  const waiting = [...shoppers];
  let lost = 0;
  const serve = async (): Promise<void> => {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      for (let i = 0; i < each; i++) if (!(await one.buy())) lost++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, serve));
  return lost;
}

async function keepCarts(model: readonly [string, string], count: number, each: number): Promise<void> {
  await using site = await start(model, 'cookie:sid');
  const shoppers = Array.from({ length: count }, () => new Shopper(site.server.url));
  expect(await shop(shoppers, each, 20)).toBe(0);
  expect(shoppers.filter(({ places }) => places.length > 1)).toEqual([]);
  expect(await placedAgain(site)).toBe(0);
  const { json } = await site.ask('GET', '/workers');
  if (model[0] === 'prefork') {
    const placed = json.map((one: { placed: number }) => one.placed);
    expect(Math.min(...placed)).toBeGreaterThan(count / 8); // the first connections are placed by the policy
  }
  const change = async (step: Promise<unknown>): Promise<void> => {
    const [lost] = await Promise.all([shop(shoppers, each, 20), step]);
    expect(lost).toBe(0);
  };
  if (model[0] === 'prefork') {
    await change(site.ask('POST', '/scale', JSON.stringify({ workers: '6' })));
    expect(shoppers.filter(({ places }) => places.length > 1)).toEqual([]);
    const buying = shop(shoppers, each, 20);
    process.kill(json[0].pid, 'SIGKILL');
    await buying; // the connections that it had are lost
  }
  await change(site.ask('POST', '/reload'));
  await shop(shoppers, 1, 20);
  const moves = shoppers.reduce((sum, { places }) => sum + places.length - 1, 0);
  expect(moves).toBeGreaterThan(0);
  await eventually('every move to be counted', async () => (await placedAgain(site)) >= moves);
}

for (const model of models)
  describe(model.join(' '), repeating(model, models), () => {
    test.concurrent('carts are kept, but for those of workers that have gone', () => keepCarts(model, 40, 4));

    // The sessions are the same part of the house, whatever the workers are.
    if (model === models[0])
      test.concurrent(`${manyCarts} carts`, { tags: 'long' }, () => keepCarts(model, manyCarts, 20));

    test.concurrent('long polling finds its session', async () => {
      await using site = await start(model, 'query:sid');
      const poll = async (): Promise<string> => {
        const { sid, here } = JSON.parse((await askOnce(site.server.url, 'GET /poll', {})).body.slice(1));
        for (let items = 1; items <= 5; items++) {
          const { body } = await askOnce(site.server.url, `GET /poll?x=1&sid=${sid}`, {});
          expect(JSON.parse(body)).toEqual({ items, here });
        }
        return here;
      };
      const places = await Promise.all(Array.from({ length: 12 }, poll));
      expect(new Set(places).size).toBe(4);
    });

    test.concurrent('an app that puts functions around those of its response keeps them', async () => {
      await using site = await start(model, 'query:sid');
      expect((await askOnce(site.server.url, 'GET /capitals', {})).body).toBe('ONE TWO THREE');
    });

    test.concurrent('one address has one worker', async () => {
      await using site = await start(model, 'ip');
      const shoppers = Array.from({ length: 12 }, () => new Shopper(site.server.url));
      await shop(shoppers, 2, 4);
      expect(new Set(shoppers.flatMap(({ places }) => places)).size).toBe(1);
    });

    test.concurrent('a connection that migrates goes to the worker of its session', async () => {
      await using site = await start(model, 'cookie:sid');
      using kept = await connect(site.server.url);
      const cookieOf = ({ headers }: Response) => headers['set-cookie']?.split(';')[0] as string;
      let last = await kept.ask('GET /');
      for (let reload = 0; reload < 3; reload++) {
        const cookie = cookieOf(last);
        expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
        // Before the connection has a request: it is placed by what went along with it.
        const other = JSON.parse((await askOnce(site.server.url, 'GET /', { cookie })).body);
        last = await kept.ask('GET /', { cookie });
        expect(JSON.parse(last.body).here).toBe(other.here);
      }
    });

    test.concurrent('a head that comes byte by byte, is too long, or is none, is served', async () => {
      await using site = await start(model, 'cookie:sid', '--max-header-size', '64K');
      const { headers } = await askOnce(site.server.url, 'GET /', {});
      const cookie = headers['set-cookie']?.split(';')[0] as string;
      using slow = await connect(site.server.url);
      for (const byte of Buffer.from(`GET / HTTP/1.1\r\nhost: a\r\nx: y\r\ncookie: ${cookie}\r\n\r\n`))
        await slow.write(Buffer.of(byte));
      expect(JSON.parse((await slow.response()).body).items).toBe(2);
      const long = await askOnce(site.server.url, 'GET /', { x: 'y'.repeat(20_000), cookie });
      expect(long.status).toBe(200);
      using other = await connect(site.server.url);
      await other.write('\x16\x03\x01 not HTTP\r\n\r\n');
      expect((await other.response()).status).toBe(400);
    });

    test.concurrent('one with a part of its head is served across a reload and a stop', async () => {
      await using site = await start(model, 'cookie:sid', '--drain-quiet', '30s');
      const { server } = site;
      const beginning = async (): Promise<Wire> => {
        const wire = await connect(server.url);
        await wire.write('GET / HTTP/1.1\r\nhost: a\r\n');
        await askOnce(server.url, 'GET /', {}); // those before it have been accepted
        return wire;
      };
      using reloaded = await beginning();
      expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
      await server.waitForMany('the old ones to leave', ({ event }) => event === 'left', 3);
      await reloaded.write('\r\n');
      expect((await reloaded.response()).status).toBe(200);
      reloaded.close();
      using stopped = await beginning();
      server.child.kill('SIGTERM');
      await eventually('no client to be accepted', () => isRefused(server.url));
      await stopped.write('\r\n');
      expect((await stopped.response()).status).toBe(200);
      expect(await within('the end', server.exit)).toMatchObject({ code: 0 });
    });
  });

test.concurrent('those on which nothing has come when they migrate find their session', async () => {
  await using site = await start(models[1], 'cookie:sid', '--bind', 'unix:SOCKET');
  const url = site.server.urls.find((one) => one.startsWith('unix:')) as string;
  const silent = await Promise.all(Array.from({ length: 6 }, () => connect(url)));
  await askOnce(url, 'GET /', {}); // they have been accepted
  expect(await site.ask('POST', '/reload')).toMatchObject({ status: 200 });
  await eventually('the old process to leave', () => site.server.workers().length === 1);
  const { headers, body } = await askOnce(url, 'GET /', {});
  const cookie = headers['set-cookie']?.split(';')[0] as string;
  const { here } = JSON.parse(body);
  for (const wire of silent) {
    expect(JSON.parse((await wire.ask('GET /', { cookie })).body).here).toBe(here);
    wire.close();
  }
});

// Those of TCP wait in the kernel, on Linux.
test.concurrent.each(['http:', 'unix:'])('%s clients who send nothing give way at the limit', async (scheme) => {
  await using site = await start(models[0], 'cookie:sid', '--max-connections', '8', '--bind', 'unix:SOCKET');
  const url = site.server.urls.find((one) => one.startsWith(scheme)) as string;
  const silent = await Promise.all(Array.from({ length: 8 }, () => connect(url)));
  expect((await askOnce(url, 'GET /', {})).status).toBe(200);
  for (const wire of silent) wire.close();
});
