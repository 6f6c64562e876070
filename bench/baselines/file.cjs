// `node file.cjs FILE`: plain `node:http` that answers each request with the bytes of a file, and the headers of a file
// server, from memory.
const { readFileSync, statSync } = require('node:fs');
const http = require('node:http');

const [file] = process.argv.slice(2);
const body = readFileSync(file);
const headers = {
  'content-type': 'text/plain; charset=utf-8',
  'content-length': body.length,
  'accept-ranges': 'bytes',
  etag: `"${body.length}-${statSync(file).mtimeMs}"`,
  'last-modified': statSync(file).mtime.toUTCString(),
  'cache-control': 'public, max-age=0',
  vary: 'accept-encoding',
};
const server = http.createServer((_req, res) => {
  res.writeHead(200, headers);
  res.end(body);
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
