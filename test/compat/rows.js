// What docs/compatibility.md lists: a row for each framework or feature, with the packages that it needs, the app under
// `apps/`, and requests that fail unless the feature works. Frameworks with a build step are in `built.js`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { builtRows } from './built.js';
import { alone, events, graphql, json, page, post } from './client.js';

/**
 * @typedef {object} Row
 * @property {string} name what `npm run compat NAME` selects
 * @property {string} title of the line in the table
 * @property {string} [shares] the name of the folder, if rows have the same; default: `name`
 * @property {string} tried for the table: what `check` shows
 * @property {string[]} packages for npm; the version that was installed of the first one is in the table
 * @property {string} app a file or a folder of `apps/`, copied to the folder
 * @property {string[]} [files] further files of `apps/`
 * @property {(folder: string, run: (command: string, ...args: string[]) => void) => void} [build]
 * @property {string} [serves] what mpserve serves, relative to the folder; default: `app`
 * @property {string[]} [args] of mpserve
 * @property {Record<string, string>} [env] of mpserve
 * @property {string} [why] why it does not work where it does not, and what does
 * @property {(origin: string, load: (name: string) => any) => Promise<void>} check rejects unless the feature works;
 *   `load` requires a package of the folder
 * @property {boolean} [isNative] whether a package is compiled for one version of Node
 * @property {number} [minNode] the first major version that has the feature
 */

/** @type {Row[]} */
export const rows = [
  {
    name: 'express',
    title: 'Express',
    tried: 'sessions in files, an upload with multer, compression, an async error',
    packages: ['express@5', 'express-session', 'session-file-store', 'multer', 'compression'],
    app: 'express.cjs',
    async check(origin) {
      const compressed = await page(`${origin}/`);
      assert.equal(compressed.headers.get('content-encoding'), 'gzip');
      assert.equal(compressed.text, 'express '.repeat(500));
      let cookie;
      for (let visits = 1; visits <= 4; visits++) {
        // A new connection each time: the next worker has to find the session of the previous one.
        const { body, headers } = await alone(`${origin}/visits`, cookie && { cookie });
        cookie ??= headers['set-cookie'][0].split(';')[0];
        assert.deepEqual(JSON.parse(body), { visits });
      }
      const form = new FormData();
      form.set('field', 'text');
      form.set('file', new Blob(['x'.repeat(300_000)]), 'large.txt');
      const uploaded = await json(`${origin}/upload`, { method: 'POST', body: form });
      assert.deepEqual(uploaded, { name: 'large.txt', size: 300_000, field: 'text' });
      assert.equal((await page(`${origin}/fails`)).status, 500);
    },
  },
  {
    name: 'fastify',
    title: 'Fastify',
    tried: '`listen()`, validation by a schema, a streamed response',
    packages: ['fastify@5'],
    app: 'fastify.mjs',
    async check(origin) {
      assert.deepEqual(await json(`${origin}/double`, post({ n: 21 })), { doubled: 42 });
      assert.equal((await page(`${origin}/double`, post({ n: 'x' }))).status, 400);
      assert.equal((await page(`${origin}/stream`)).text, 'one two');
    },
  },
  {
    name: 'koa',
    title: 'Koa',
    tried: 'middleware, signed cookies, `ctx.throw`',
    packages: ['koa@3'],
    app: 'koa.cjs',
    async check(origin) {
      const found = await page(`${origin}/a`);
      assert.deepEqual(JSON.parse(found.text), { path: '/a' });
      assert.equal(found.headers.get('x-after'), 'yes');
      assert.match(found.headers.get('set-cookie'), /seen\.sig=/);
      assert.equal((await page(`${origin}/missing`)).status, 404);
    },
  },
  {
    name: 'hono',
    title: 'Hono',
    tried: '`@hono/node-server`, JSON, server-sent events',
    packages: ['hono@4', '@hono/node-server'],
    app: 'hono.mjs',
    async check(origin) {
      assert.deepEqual(await json(`${origin}/hello/you`), { hello: 'you' });
      assert.deepEqual(await json(`${origin}/echo`, post({ a: 1 })), { a: 1 });
      assert.deepEqual(await events(`${origin}/events`), ['one', 'two']);
    },
  },
  {
    name: 'nestjs',
    title: 'NestJS',
    tried: 'modules, injection, a pipe that validates, shutdown hooks',
    packages: ['@nestjs/core@11', '@nestjs/common@11', '@nestjs/platform-express@11', 'reflect-metadata', 'rxjs'],
    app: 'nestjs.cjs',
    async check(origin) {
      assert.deepEqual(await json(`${origin}/cats/7`), { id: 7, name: 'Tom' });
      assert.equal((await page(`${origin}/cats/x`)).status, 400);
    },
  },
  {
    name: 'socket.io',
    title: 'socket.io over WebSocket',
    tried: 'acknowledgements, 100 messages in order, HTTP beside it',
    packages: ['socket.io@4', 'socket.io-client@4'],
    app: 'socket-io.cjs',
    check: (origin, load) => checkSocketIo(origin, load, ['websocket']),
  },
  {
    name: 'socket.io-polling',
    title: 'socket.io over long polling',
    tried: 'the same, with two workers',
    why: 'the requests of a session reach several workers; use `--sticky query:sid`, or WebSocket',
    packages: ['socket.io@4', 'socket.io-client@4'],
    shares: 'socket.io',
    app: 'socket-io.cjs',
    check: (origin, load) => checkSocketIo(origin, load, ['polling']),
  },
  {
    name: 'socket.io-polling-one',
    title: 'socket.io over long polling, one worker',
    tried: 'the same, with `--workers 1 --threads 1`',
    why: 'the requests of a session reach several workers; use WebSocket, or another model with one worker',
    packages: ['socket.io@4', 'socket.io-client@4'],
    shares: 'socket.io',
    app: 'socket-io.cjs',
    args: ['--workers', '1', '--threads', '1'],
    check: (origin, load) => checkSocketIo(origin, load, ['polling']),
  },
  {
    name: 'socket.io-polling-sticky',
    title: 'socket.io over long polling, `--sticky query:sid`',
    tried: 'the same, with eight workers or threads and `--accept dispatch`',
    why: '--sticky is for `prefork` and `prethread`, where one process places all connections',
    packages: ['socket.io@4', 'socket.io-client@4'],
    shares: 'socket.io',
    app: 'socket-io.cjs',
    args: ['--workers', '8', '--threads', '8', '--accept', 'dispatch', '--sticky', 'query:sid'],
    check: (origin, load) => checkSocketIo(origin, load, ['polling']),
  },
  {
    name: 'ws',
    title: 'ws',
    tried: 'echo with compression, 300 kB in one message, a close code',
    packages: ['ws@8'],
    app: 'ws.cjs',
    async check(origin, load) {
      const socket = new (load('ws'))(origin.replace('http', 'ws'));
      await once(socket, 'open');
      assert.match(socket.extensions, /permessage-deflate/);
      for (const text of ['hello', 'x'.repeat(300_000)]) {
        socket.send(text);
        assert.equal(String((await once(socket, 'message'))[0]), text);
      }
      socket.close(4001, 'over');
      assert.equal((await once(socket, 'close'))[0], 4001);
      assert.equal((await page(origin)).text, 'http');
    },
  },
  {
    name: 'apollo',
    title: 'Apollo Server',
    tried: '`startStandaloneServer`: a query, a mutation, an invalid query',
    packages: ['@apollo/server@5', 'graphql@16'],
    app: 'apollo.mjs',
    async check(origin) {
      assert.deepEqual(await graphql(origin, '{ hello(name: "you") }'), { hello: 'hello you' });
      assert.deepEqual(await graphql(origin, 'mutation { double(n: 21) }'), { double: 42 });
      assert.equal((await page(origin, post({ query: '{ nothing }' }))).status, 400);
    },
  },
  {
    name: 'yoga',
    title: 'GraphQL Yoga',
    tried: 'a query, a subscription over server-sent events',
    packages: ['graphql-yoga@5', 'graphql@16'],
    app: 'yoga.mjs',
    async check(origin) {
      assert.deepEqual(await graphql(`${origin}/graphql`, '{ hello }'), { hello: 'hello' });
      const query = encodeURIComponent('subscription { count(to: 3) }');
      const counted = await events(`${origin}/graphql?query=${query}`, { headers: { accept: 'text/event-stream' } });
      assert.deepEqual(
        counted.filter(Boolean).map((data) => JSON.parse(data).data.count),
        [1, 2, 3],
      );
    },
  },
  {
    name: 'trpc',
    title: 'tRPC',
    tried: 'the standalone server: a query, a mutation, a batch, a subscription',
    packages: ['@trpc/server@11'],
    app: 'trpc.mjs',
    async check(origin) {
      assert.equal((await json(`${origin}/hello`)).result.data, 'hello');
      assert.equal((await json(`${origin}/double`, post(21))).result.data, 42);
      const batch = await json(`${origin}/hello,hello?batch=1&input={}`);
      assert.equal(batch.length, 2);
      const counted = await events(`${origin}/count`, { headers: { accept: 'text/event-stream' } });
      assert.deepEqual(counted.filter((data) => /^\d$/.test(data)).map(Number), [1, 2, 3]);
    },
  },
  {
    name: 'better-sqlite3',
    title: 'better-sqlite3',
    tried: '40 inserts over 40 connections into one file',
    packages: ['better-sqlite3'],
    isNative: true,
    app: 'better-sqlite3.cjs',
    async check(origin) {
      const url = `${origin}/${Math.random()}`;
      const counts = await Promise.all(Array.from({ length: 40 }, () => alone(url)));
      const highest = Math.max(...counts.map(({ body }) => JSON.parse(body).n));
      assert.equal(highest, 40);
    },
  },
  {
    name: 'sharp',
    title: 'sharp',
    tried: '8 images resized at the same time',
    packages: ['sharp'],
    app: 'sharp.mjs',
    async check(origin) {
      const images = await Promise.all(Array.from({ length: 8 }, () => fetch(origin)));
      for (const image of images) {
        const bytes = Buffer.from(await image.arrayBuffer());
        assert.equal(bytes.subarray(1, 4).toString(), 'PNG');
        assert.equal(bytes.readUInt32BE(16), 30, 'its width');
      }
    },
  },
  {
    name: 'tsx',
    title: 'tsx',
    tried: 'TypeScript with an enum, `--node-arg=--import=tsx`',
    packages: ['tsx@4'],
    app: 'tsx.ts',
    files: ['greeting.ts'],
    args: ['--node-arg=--import=tsx'],
    check: checkGreeting,
  },
  {
    name: 'strip-types',
    title: 'Node strips types',
    tried: 'TypeScript, `--node-arg=--experimental-strip-types`',
    packages: [],
    minNode: 22,
    app: 'strip-types.ts',
    files: ['greeting.ts'],
    args: ['--node-arg=--experimental-strip-types'],
    check: checkGreeting,
  },
  {
    name: 'async-local-storage',
    title: 'AsyncLocalStorage',
    tried: '60 requests at the same time, each with its own store until `finish`',
    packages: [],
    app: 'async-local-storage.cjs',
    async check(origin) {
      const paths = Array.from({ length: 60 }, (_, i) => `/${i}`);
      const answers = await Promise.all(paths.map(async (path) => (await page(origin + path)).text));
      assert.deepEqual(answers, paths);
    },
  },
  {
    name: 'opentelemetry',
    title: 'OpenTelemetry',
    tried:
      'auto-instrumentation through `--node-arg=--require`: the span of a request has the trace of its `traceparent`',
    packages: ['@opentelemetry/auto-instrumentations-node', '@opentelemetry/api'],
    app: 'opentelemetry.cjs',
    args: ['--node-arg=--require=@opentelemetry/auto-instrumentations-node/register'],
    env: { OTEL_TRACES_EXPORTER: 'console', OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' },
    async check(origin) {
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      const span = await json(origin, { headers });
      assert.equal(span?.traceId, traceId);
      assert.notEqual(span.spanId, 'b7ad6b7169203331');
    },
  },
  ...builtRows,
];

async function checkSocketIo(origin, load, transports) {
  const socket = load('socket.io-client').io(origin, { transports, reconnection: false, timeout: 10_000 });
  try {
    await new Promise((connected, failed) => {
      socket.once('connect', connected).once('connect_error', failed);
      socket.once('disconnect', (reason) => failed(new Error(`disconnected: ${reason}`)));
    });
    assert.equal(await socket.timeout(10_000).emitWithAck('add', 20, 22), 42);
    const items = [];
    const all = new Promise((done) =>
      socket.on('item', (item) => {
        if (items.push(item) === 100) done();
      }),
    );
    socket.emit('stream', 100);
    await all;
    assert.deepEqual(
      items,
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.equal((await page(origin)).text, 'http');
  } finally {
    socket.close();
  }
}

async function checkGreeting(origin) {
  const { status, text } = await page(`${origin}/you`);
  assert.deepEqual([status, text], [200, 'hello /you']);
}
