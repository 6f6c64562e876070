// Writes to the file ACCEPTED, before anything else can happen, the address of each client whose connection it has.
const { openSync, writeSync } = require('node:fs');
const { createServer } = require('node:http');

const file = openSync(process.env.ACCEPTED, 'a');

createServer((_, res) => res.end('Hello, World!'))
  .on('connection', ({ remoteAddress, remotePort }) => writeSync(file, `${remoteAddress}:${remotePort}\n`))
  .listen();
