// Responds with the ids of the process and thread, which identify the event loop.
const { threadId } = require('node:worker_threads');

const body = Buffer.from(`${process.pid}/${threadId}`);

module.exports = (_req, res) => {
  res.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  res.end(body);
};
