// Serves the connection that the parent sends, and exits.
const http = require('node:http');

const server = http.createServer(require('./hello.cjs'));
process.on('message', (_message, socket) => {
  server.emit('connection', socket);
  socket.on('close', () => process.exit());
});
