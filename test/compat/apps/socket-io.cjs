const { createServer } = require('node:http');
const { Server } = require('socket.io');

const server = createServer((_req, res) => res.end('http'));
const io = new Server(server);
io.on('connection', (socket) => {
  socket.on('add', (a, b, answer) => answer(a + b));
  socket.on('stream', (n) => {
    for (let i = 0; i < n; i++) socket.emit('item', i);
  });
});
server.listen(process.env.PORT || 3000);
