// node:cluster with its default policy and eight workers that run an Express app. Ready when all workers listen.
const cluster = require('node:cluster');
const http = require('node:http');

const workers = 8;

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === workers) console.log(JSON.stringify({ event: 'ready', port }));
  });
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  http.createServer(require('../apps/express.cjs')).listen(0, '127.0.0.1');
}
