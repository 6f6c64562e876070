// `npm run bench:models`: the cost of a request, a connection and an idle server in each model. Each round measures all
// models, one after another. The app responds with 13 bytes. Pooled models run with two workers, two threads, or both.
import { cpus } from 'node:os';
import { median } from '../dist/bench/summary.js';
import { memoryOfTree } from '../dist/os/process-tree.js';
import { cpuPerRequest, send, timesToFirstByte } from './load.js';
import { mpserve, start } from './server.js';

const rounds = 3;
const seconds = 3;
const sizes = {
  prefork: ['--workers', '2'],
  prethread: ['--threads', '2'],
  hybrid: ['--workers', '2', '--threads', '2'],
};

const models = [
  ...['prefork', 'prethread', 'hybrid'].flatMap((model) =>
    ['shared', 'dispatch'].map((accept) => [
      `${model} ${accept}`,
      '--model',
      model,
      ...sizes[model],
      '--accept',
      accept,
    ]),
  ),
  ['tpc', '--model', 'tpc'],
  ['ppc', '--model', 'ppc'],
].map(([name, ...args]) => ({ name, command: mpserve(...args), isPerConnection: name === 'tpc' || name === 'ppc' }));

const measures = [
  ['keep-alive, CPU µs/request', (server) => cpuPerRequest(server, seconds)],
  ['one request per connection, CPU µs', (server) => cpuPerRequest(server, seconds, { keepAlive: false })],
  ['time to first byte, ms', async (server) => median(await timesToFirstByte(server, 5))],
];

console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds, medians\n`);
console.log(`| model | ${measures.map(([title]) => title).join(' | ')} | idle memory, MB |`);
console.log(`|${' --- |'.repeat(measures.length + 2)}`);
const results = new Map(models.map(({ name }) => [name, measures.map(() => [])]));
for (let round = 1; round <= rounds; round++) {
  for (const { name, command, isPerConnection } of models) {
    if (process.stderr.isTTY) process.stderr.write(`round ${round} of ${rounds}, ${name}        \r`);
    const server = await start(command);
    try {
      await send(server, isPerConnection ? 16 : 30_000);
      for (const [i, [, measure]] of measures.entries()) results.get(name)[i].push(await measure(server));
    } finally {
      await server.stop();
    }
  }
}
for (const { name, command } of models) {
  const server = await start(command);
  const memory = memoryOfTree(server.pid) / 1e6;
  await server.stop();
  const cells = [...results.get(name).map((values) => median(values).toFixed(1)), memory.toFixed(0)];
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
