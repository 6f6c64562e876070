// Writes the address of each client whose connection it has to the file ACCEPTED, before anything else can happen.
const { openSync, writeSync } = require('node:fs');
const { createServer } = require('node:http');

const file = openSync(process.env.ACCEPTED, 'a');
createServer((_req, res) => res.end('Hello, World!'))
  .on('connection', ({ remoteAddress, remotePort }) => writeSync(file, `${remoteAddress}:${remotePort}\n`))
  .listen();
