// Plain `node:http` in one process.
const http = require('node:http');

const server = http.createServer(require('./hello.cjs'));
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
