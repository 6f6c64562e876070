// `node static.cjs LIBRARY DIR`: another static file server of Node, set up for as much as it has of what mpserve does.
const http = require('node:http');

const [library, dir] = process.argv.slice(2);
const ready = (port) => console.log(JSON.stringify({ event: 'ready', port }));
const unanswered = (res) => (error) => {
  res.statusCode = error?.status ?? 404;
  res.end();
};
const listen = (listener) => {
  const server = http.createServer(listener);
  server.listen(0, '127.0.0.1', () => ready(server.address().port));
};

const libraries = {
  async sirv() {
    const { default: sirv } = await import('sirv');
    const files = sirv(dir, { etag: true, gzip: true, brotli: true });
    listen((req, res) => {
      try {
        files(req, res, unanswered(res));
      } catch {
        res.destroy(); // a range that ends before it begins
      }
    });
  },
  'serve-static'() {
    const files = require('serve-static')(dir);
    listen((req, res) => files(req, res, unanswered(res)));
  },
  send() {
    const send = require('send');
    listen((req, res) =>
      send(req, new URL(req.url, 'http://localhost').pathname, { root: dir }).on('error', unanswered(res)).pipe(res),
    );
  },
  '@fastify/send'() {
    const send = require('@fastify/send');
    listen(async (req, res) => {
      try {
        const { statusCode, headers, stream } = await send(req, req.url.split('?')[0], { root: dir });
        res.writeHead(statusCode, headers);
        stream.pipe(res);
      } catch (error) {
        unanswered(res)(error);
      }
    });
  },
  async '@fastify/static'() {
    const app = require('fastify')();
    await app.register(require('@fastify/static'), { root: dir, preCompressed: true });
    await app.listen({ port: 0, host: '127.0.0.1' });
    ready(app.server.address().port);
  },
};

libraries[library]();
