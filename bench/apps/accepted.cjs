// Writes to the file ACCEPTED, before anything else can happen, the address of each client whose connection it has, and
// once more when it has read the client's request.
const { openSync, writeSync } = require('node:fs');
const { createServer } = require('node:http');

const file = openSync(process.env.ACCEPTED, 'a');
const write = (what, { remoteAddress, remotePort }) => writeSync(file, `${what} ${remoteAddress}:${remotePort}\n`);

createServer((req, res) => {
  write('read', req.socket);
  res.end('Hello, World!');
})
  .on('connection', (socket) => write('accepted', socket))
  .listen();
