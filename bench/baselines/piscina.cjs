// `node piscina.cjs [THREADS]`: plain `node:http` in one process, which runs one piscina task a request.
const http = require('node:http');
const { Piscina } = require('piscina');

const threads = Number(process.argv[2] ?? 2);
const pool = new Piscina({ filename: require.resolve('./piscina-task.cjs'), minThreads: threads, maxThreads: threads });
const server = http.createServer(async (req, res) => {
  const { method, url, headers } = req;
  try {
    const { status, headers: fields, body } = await pool.run({ method, url, headers });
    res.writeHead(status, fields);
    res.end(body);
  } catch {
    res.writeHead(500).end();
  }
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
