const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');

const server = createServer((_req, res) => res.end('http'));
new WebSocketServer({ server, perMessageDeflate: true }).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(process.env.PORT || 3000);
