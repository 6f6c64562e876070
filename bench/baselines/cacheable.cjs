// As `hello.cjs`, with a response that a cache may keep for a minute.
module.exports = (_req, res) => {
  res.writeHead(200, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'public, max-age=60',
    etag: '"5d8c72a5edda8d6a"',
  });
  res.end('Hello, world!');
};
