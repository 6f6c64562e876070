// Answers with exactly what it was given, once all of it has come.
module.exports = function mirror(req, res) {
  const { method, url, httpVersion: version, rawHeaders: headers } = req;
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('error', () => {}); // the client ended in the middle: there is nobody to answer
  req.on('end', () => {
    const body = Buffer.concat(parts).toString('base64');
    const answer = Buffer.from(JSON.stringify({ method, url, version, headers, trailers: req.rawTrailers, body }));
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    res.end(answer);
  });
};
