// `node cluster.cjs [WORKERS [APP]]`: node:cluster with its default policy. Ready when all workers listen.
const cluster = require('node:cluster');
const http = require('node:http');

const [workers = '2', app = require.resolve('./hello.cjs')] = process.argv.slice(2);

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === Number(workers)) console.log(JSON.stringify({ event: 'ready', port }));
  });
  for (let i = 0; i < Number(workers); i++) cluster.fork();
} else {
  http.createServer(require(app)).listen(0, '127.0.0.1');
}
