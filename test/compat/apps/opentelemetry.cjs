const { createServer } = require('node:http');
const { trace } = require('@opentelemetry/api');

createServer((_req, res) => {
  res.end(JSON.stringify(trace.getActiveSpan()?.spanContext() ?? null));
}).listen(process.env.PORT || 3000);
