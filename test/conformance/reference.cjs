// Plain `node:http` with the command line of the server under test, as far as Node itself has such an option:
// what the suite expects of every model has to hold of this, too.
const assert = require('node:assert');
const http = require('node:http');
const path = require('node:path');
const { parseArgs } = require('node:util');

const milliseconds = (text) => {
  const [, number, unit] = /^([\d.]+)(ms|s)$/.exec(text) ?? assert.fail(`${text} is not in ms or s`);
  return Number(number) * (unit === 'ms' ? 1 : 1000);
};
const { values, positionals } = parseArgs({
  strict: false,
  allowPositionals: true,
  options: { bind: { type: 'string', multiple: true } },
});
const flag = (name, read) => (values[name] === undefined ? undefined : read(values[name]));
const timeouts = {
  headersTimeout: flag('header-timeout', milliseconds),
  requestTimeout: flag('request-timeout', milliseconds),
  keepAliveTimeout: flag('keep-alive-timeout', milliseconds),
};
const given = Object.fromEntries(Object.entries(timeouts).filter(([, value]) => value !== undefined));
const maxHeaderSize = flag('max-header-size', Number);
const app = require(path.resolve(positionals[0]));

const servers = values.bind.map((address) => {
  const server = http.createServer({
    ...given,
    ...(maxHeaderSize && { maxHeaderSize }),
    connectionsCheckingInterval: 100,
  });
  const listeners =
    typeof app === 'function'
      ? { request: [app] }
      : { request: app.listeners('request'), upgrade: app.listeners('upgrade') };
  for (const [event, all] of Object.entries(listeners)) for (const listener of all) server.on(event, listener);
  server.maxRequestsPerSocket = flag('max-requests-per-connection', Number) ?? 0;
  const [host, port] = address.split(':');
  return host === 'unix' ? server.listen(port) : server.listen(Number(port), host);
});

let listening = 0;
for (const server of servers) {
  server.on('listening', () => {
    if (++listening < servers.length) return;
    const urls = servers
      .map((each) => each.address())
      .map((at) => (typeof at === 'string' ? `unix:${at}` : `http://127.0.0.1:${at.port}`));
    console.log(JSON.stringify({ event: 'ready', url: urls[0], urls, model: 'node:http', pid: process.pid }));
  });
}
process.on('SIGTERM', () => {
  for (const server of servers) server.close();
  process.exit(0);
});
