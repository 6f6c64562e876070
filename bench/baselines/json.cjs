// About 10 KiB of JSON, as an API answers.
const items = Array.from({ length: 100 }, (_, id) => ({
  id,
  name: `User ${(id * 7919) % 1000}`,
  email: `user${id}@example.org`,
  isActive: id % 3 === 0,
  score: ((id * 31) % 977) / 7,
}));
const text = JSON.stringify(items);

module.exports = (_req, res) => {
  res.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) });
  res.end(text);
};
module.exports.items = items;
