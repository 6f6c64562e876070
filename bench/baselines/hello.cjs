// The app of mpserve and of all baselines: responds with 13 bytes.
const body = Buffer.from('Hello, World!');

module.exports = (_req, res) => {
  res.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length });
  res.end(body);
};
