// A minimal server that forks a child for each connection and sends the socket over IPC.
const { fork } = require('node:child_process');
const net = require('node:net');
const path = require('node:path');

const child = path.join(__dirname, 'process-per-connection-child.cjs');
const server = net.createServer({ pauseOnConnect: true }, (socket) => fork(child).send('socket', socket));
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
