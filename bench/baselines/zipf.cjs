// 10,000 pages of 1 to 4 KiB, each of which takes 5 ms to make and may be kept for an hour.
const text = 'x'.repeat(4096);
module.exports = (req, res) => {
  const page = Number(req.url.slice(1));
  setTimeout(() => {
    res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'public, max-age=3600' });
    res.end(text.slice(0, 1024 + ((page * 7919) % 3073)));
  }, 5);
};
