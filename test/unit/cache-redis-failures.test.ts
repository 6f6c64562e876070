// Whatever becomes of the store, requests get their responses, and the counters say what happened.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { memoryBytes } from '../../src/memory/parts.ts';
import { ask } from '../helpers/cache-client.ts';
import { CachedApp } from '../helpers/cached-app.ts';
import { eventually } from '../helpers/eventually.ts';
import { hasRedis, RedisServer } from '../helpers/redis.ts';
import { type StoreErrors, storeErrors } from '../helpers/store-errors.ts';

/** An app of which each response is for its path, under a load that goes on until the end. */
class Loaded implements AsyncDisposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  readonly #clients: Promise<void>[];
  readonly wrong: string[] = [];
  answered = 0;
  hits = 0;
  #isOver = false;

  private constructor(
    readonly app: CachedApp,
    readonly memory: SharedArrayBuffer,
  ) {
    this.#clients = Array.from({ length: 16 }, (_, i) => this.#client(i));
  }

  static async start(url: string): Promise<Loaded> {
    const memory = new SharedArrayBuffer(memoryBytes);
    const app = await CachedApp.start({
      memory,
      rules: { cacheStore: url as never },
      handle: (req, res) => {
        res.setHeader('cache-control', 'max-age=600');
        if (req.url?.endsWith('0')) res.setHeader('vary', 'x-lang');
        if (req.url?.endsWith('1')) res.setHeader('surrogate-key', 'a b');
        res.end(bodyFor(req.url ?? ''));
      },
    });
    return new Loaded(app, memory);
  }

  get errors(): StoreErrors {
    return storeErrors(this.memory);
  }

  async #client(i: number): Promise<void> {
    for (let n = i; !this.#isOver; n++) {
      const target = `/${n % 40}`;
      const method = n % 97 === 0 ? 'POST' : 'GET';
      try {
        const { status, body, headers } = await ask(this.app.url + target, {}, { agent: this.#agent, method });
        if (status !== 200 || body !== bodyFor(target)) this.wrong.push(`${target}: ${status} ${body.slice(0, 80)}`);
        if (String(headers['cache-status']).includes('hit')) this.hits++;
      } catch (error) {
        this.wrong.push(`${target}: ${(error as Error).message}`);
      }
      this.answered++;
    }
  }

  told(event: string): Promise<unknown> {
    const before = this.app.told.filter((one) => one === event).length;
    return eventually(event, () => this.app.told.filter((one) => one === event).length > before);
  }

  async more(count: number): Promise<void> {
    const { answered } = this;
    await eventually(`${count} more responses`, () => this.answered >= answered + count);
  }

  async hitsAgain(): Promise<void> {
    const { hits } = this;
    await eventually('hits', () => this.hits > hits + 50);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
    await this.app[Symbol.asyncDispose]();
    expect(this.wrong.slice(0, 3)).toEqual([]);
  }
}

function bodyFor(target: string): string {
  return `${target} `.repeat(1 + 40 * (Number(target.slice(1)) % 20));
}

describe.skipIf(!hasRedis)('no request fails while Redis', { tags: ['long'] }, () => {
  test('stops and starts again', async () => {
    await using redis = await RedisServer.start();
    await using loaded = await Loaded.start(redis.url());
    await loaded.hitsAgain();
    const down = loaded.told('cache-store-down');
    await redis.stop();
    await down;
    await loaded.more(200);
    const up = loaded.told('cache-store-up');
    await redis.start();
    await up;
    await loaded.hitsAgain();
    expect(loaded.errors).toMatchObject({ down: 1, up: 1, garbage: 0 });
    expect(loaded.errors.connection).toBeGreaterThan(0);
  });

  test('is paused and goes on', async () => {
    await using redis = await RedisServer.start();
    await using loaded = await Loaded.start(redis.url('prefix=test&timeout=300ms'));
    await loaded.hitsAgain();
    const down = loaded.told('cache-store-down');
    redis.signal('SIGSTOP');
    await down;
    await loaded.more(200);
    const up = loaded.told('cache-store-up');
    redis.signal('SIGCONT');
    await up;
    await loaded.hitsAgain();
    expect(loaded.errors).toMatchObject({ down: 1, up: 1, garbage: 0 });
    expect(loaded.errors.timeout).toBeGreaterThanOrEqual(5);
  });

  test('is full, and has room again', async () => {
    await using redis = await RedisServer.start();
    await using loaded = await Loaded.start(redis.url());
    await loaded.hitsAgain();
    const down = loaded.told('cache-store-down');
    await redis.do(['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']);
    await down;
    expect(loaded.errors.refused).toBeGreaterThanOrEqual(5);
    const up = loaded.told('cache-store-up');
    await redis.do(['CONFIG', 'SET', 'maxmemory', '0']);
    await up;
    await loaded.hitsAgain();
    // It has answered all the time.
    expect(loaded.errors).toMatchObject({ down: 0, up: 0, garbage: 0, timeout: 0 });
  });

  test('refuses all that it is asked', async () => {
    await using redis = await RedisServer.start();
    await using loaded = await Loaded.start(redis.url(undefined, 'cache:secret'));
    await eventually('the outage', () => loaded.errors.down === 1);
    await loaded.more(100);
    expect(loaded.errors.refused).toBeGreaterThan(0);
    const up = loaded.told('cache-store-up');
    await redis.do(['ACL', 'SETUSER', 'cache', 'on', '>secret', '+@all', '-@dangerous', '~mpserve:1:test:*']);
    await up;
    await loaded.hitsAgain();
    const down = loaded.told('cache-store-down');
    await redis.do(['ACL', 'SETUSER', 'cache', '-@read']);
    await down;
    await loaded.more(100);
    expect(loaded.errors.down).toBe(2);
  });
});

/** Answers what it reads as a fault would. */
async function fakeStore(
  answer: (socket: Socket, commands: number) => void,
): Promise<AsyncDisposable & { readonly url: string }> {
  const dir = mkdtempSync(path.join(tmpdir(), 'mpserve-redis-'));
  const file = path.join(dir, 'sock');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    answer(socket, 0);
    socket.on('data', (bytes) => answer(socket, bytes.toString('latin1').match(/^\*\d/gm)?.length ?? 0));
  });
  await once(server.listen(file), 'listening');
  return {
    url: `redis+unix://${file}?prefix=test`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), 'close');
      rmSync(dir, { recursive: true });
    },
  };
}

const time = '*2\r\n$1\r\n1\r\n$1\r\n1\r\n';

describe('no request fails with a store that', () => {
  test.each<readonly [string, keyof StoreErrors, (socket: Socket, commands: number) => void]>([
    ['answers with random bytes', 'garbage', (socket) => socket.write(randomBytes(200))],
    ['speaks HTTP', 'garbage', (socket, commands) => commands > 0 && socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['answers with the wrong types', 'garbage', (socket, commands) => void socket.write(':1\r\n'.repeat(commands))],
    ['answers what it has not been asked', 'garbage', (socket) => socket.write('+OK\r\n+OK\r\n+OK\r\n')],
    ['knows the time and nothing else', 'garbage', (socket, commands) => void socket.write(time.repeat(commands))],
    [
      'announces a large answer and does not end it',
      'timeout',
      (socket) => socket.write(`$900000000\r\n${'x'.repeat(1000)}`),
    ],
    ['never answers', 'timeout', () => {}],
    ['closes each connection', 'connection', (socket) => socket.destroy()],
    ['closes with the first question', 'connection', (socket, commands) => void (commands > 0 && socket.destroy())],
    ['answers with errors', 'refused', (socket, commands) => void socket.write('-ERR no\r\n'.repeat(commands))],
    [
      'is loading',
      'refused',
      (socket, commands) => void socket.write('-LOADING Redis is loading\r\n'.repeat(commands)),
    ],
  ])('%s', async (_name, kind, answer) => {
    await using store = await fakeStore(answer);
    await using loaded = await Loaded.start(store.url);
    await loaded.more(100);
    await eventually('the outage', () => loaded.errors.down > 0);
    await loaded.more(100);
    expect(loaded.errors[kind]).toBeGreaterThan(0);
  });

  test.skipIf(!hasRedis)('answers late', { tags: ['long'] }, async () => {
    await using redis = await RedisServer.start();
    let delayMs = 0;
    const pipes = new Map<Socket, Socket>();
    await using slow = await fakeStore((socket) => {
      if (pipes.has(socket)) return;
      const real = createConnection(redis.socket);
      pipes.set(socket, real);
      socket
        .on('data', (bytes) => void setTimeout(() => real.write(bytes), delayMs))
        .once('close', () => real.destroy());
      real.on('error', () => {}).on('data', (bytes) => socket.write(bytes));
    });
    await using loaded = await Loaded.start(slow.url);
    await loaded.hitsAgain();
    const down = loaded.told('cache-store-down');
    delayMs = 400;
    await down;
    expect(loaded.errors.timeout).toBeGreaterThanOrEqual(5);
    const up = loaded.told('cache-store-up');
    delayMs = 0;
    await up;
    await loaded.hitsAgain();
    expect(loaded.errors.garbage).toBe(0);
  });
});
