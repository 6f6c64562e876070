// `npm run bench:models`: what a connection, a request and the server itself cost in each model, in rounds in which
// the models take turns. The app answers 13 bytes; two of whatever a model has several of.
import { cpus } from 'node:os';
import { median } from '../dist/bench/summary.js';
import { memoryOfTree } from '../dist/os/process-tree.js';
import { cpuPerRequest, send, timesToFirstByte } from './load.js';
import { mpserve, start } from './server.js';

const rounds = 3;
const seconds = 3;
const two = {
  prefork: ['--workers', '2'],
  prethread: ['--threads', '2'],
  hybrid: ['--workers', '2', '--threads', '2'],
};

const models = [
  ...['prefork', 'prethread', 'hybrid'].flatMap((model) =>
    ['shared', 'dispatch'].map((accept) => [`${model} ${accept}`, '--model', model, ...two[model], '--accept', accept]),
  ),
  ['tpc', '--model', 'tpc'],
  ['ppc', '--model', 'ppc'],
].map(([name, ...args]) => ({ name, command: mpserve(...args), isPerConnection: name === 'tpc' || name === 'ppc' }));

const measures = [
  ['kept-alive, CPU µs/request', (server) => cpuPerRequest(server, seconds)],
  ['one request a connection, CPU µs', (server) => cpuPerRequest(server, seconds, { oneRequestEach: true })],
  ['first byte, ms', async (server) => median(await timesToFirstByte(server, 5))],
];

console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}, ${rounds} rounds, medians\n`);
console.log(`| model | ${measures.map(([title]) => title).join(' | ')} | memory at rest, MB |`);
console.log(`|${' --- |'.repeat(measures.length + 2)}`);
const figures = new Map(models.map(({ name }) => [name, measures.map(() => [])]));
for (let round = 1; round <= rounds; round++) {
  for (const { name, command, isPerConnection } of models) {
    if (process.stderr.isTTY) process.stderr.write(`round ${round} of ${rounds}, ${name}        \r`);
    const server = await start(command);
    try {
      await send(server, isPerConnection ? 16 : 30_000);
      for (const [i, [, measure]] of measures.entries()) figures.get(name)[i].push(await measure(server));
    } finally {
      await server.stop();
    }
  }
}
for (const { name, command } of models) {
  const server = await start(command);
  const memory = memoryOfTree(server.pid) / 1e6;
  await server.stop();
  const cells = [...figures.get(name).map((values) => median(values).toFixed(1)), memory.toFixed(0)];
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
