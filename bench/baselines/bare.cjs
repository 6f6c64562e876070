// `node bare.cjs [APP]`: plain `node:http` in one process.
const http = require('node:http');

const [app = require.resolve('./hello.cjs')] = process.argv.slice(2);
const server = http.createServer(require(app));
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', port: server.address().port })));
