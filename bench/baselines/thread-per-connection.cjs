// A minimal server that starts a thread for each connection and passes the descriptor.
const net = require('node:net');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const koffi = require('koffi');

const dup = koffi.load(null).func('int dup(int)');
const thread = path.join(__dirname, 'thread-per-connection-thread.cjs');
const server = net.createServer({ pauseOnConnect: true }, (socket) => {
  const fd = dup(socket._handle.fd);
  socket.destroy();
  new Worker(thread, { workerData: fd });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
