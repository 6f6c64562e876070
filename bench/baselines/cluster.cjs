// node:cluster with its default policy and two workers. Ready when both workers listen.
const cluster = require('node:cluster');
const http = require('node:http');

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === 2) console.log(JSON.stringify({ event: 'ready', port }));
  });
  cluster.fork();
  cluster.fork();
} else {
  http.createServer(require('./hello.cjs')).listen(0, '127.0.0.1');
}
