// What a cache answers for `cacheable.cjs`, to the byte but for dates and numbers.
module.exports = (_req, res) => {
  res.writeHead(200, {
    'x-request-id': 'abcdefgh-1000',
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'public, max-age=60',
    etag: '"5d8c72a5edda8d6a"',
    age: '10',
    'cache-status': 'mpserve; hit; ttl=49',
  });
  res.end('Hello, world!');
};
