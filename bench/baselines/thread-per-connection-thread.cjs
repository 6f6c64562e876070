// Serves the connection whose descriptor it gets in `workerData`, and exits.
const http = require('node:http');
const net = require('node:net');
const { workerData } = require('node:worker_threads');

const server = http.createServer(require('./hello.cjs'));
const socket = new net.Socket({ fd: workerData, readable: true, writable: true });
server.emit('connection', socket);
socket.on('close', () => process.exit());
