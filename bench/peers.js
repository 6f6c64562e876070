// `npm run bench:peers`: the pooled models of mpserve beside whatever other servers are installed here, under the same
// load. Writes the block of docs/benchmarks.md that says so; a slower result is published as it is.
// With `--reload [--rounds N] [NAME ...]`: what their reloads do to clients instead; with names it publishes nothing.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bench } from '../dist/bench/bench.js';
import { ProgressLine } from '../dist/bench/progress.js';
import { defaultScenarios, scenarios } from '../dist/bench/scenario.js';
import { connectionsOf, metrics, row, summarise } from '../dist/bench/summary.js';
import { mpserve } from '../dist/bench/target.js';
import { ours, publish } from './peers/benchmarks-page.js';
import { compareReloads } from './peers/compare-reloads.js';
import { peers } from './peers/index.js';
import { launch } from './peers/launch.js';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const app = path.join(root, 'bench/peers/app.js');
const terms = { connections: [64], rounds: 3, durationMs: 1500, rate: undefined };
const shown = ['rps', 'p50', 'p99', 'errors', 'cpu', 'memory', 'memory-per-connection', 'held'];

const controller = new AbortController();
process.once('SIGINT', () => controller.abort(new Error('stopped')));

const { values: options, positionals: names } = parseArgs({
  options: { reload: { type: 'boolean', default: false }, rounds: { type: 'string', default: '3' } },
  allowPositionals: true,
});
if (options.reload) {
  await compareReloads({ rounds: Number(options.rounds), names, signal: controller.signal });
  process.exit();
}

const installed = [];
const missing = [];
for (const peer of peers) {
  const version = await peer.version();
  if (version === undefined) missing.push(peer.name);
  else installed.push({ peer, version });
}

const line = new ProgressLine();
const blocks = [];
const remarks = new Set();
for (const scenario of defaultScenarios(scenarios([{ path: '/', method: 'GET', headers: {} }]), true)) {
  const own = ['prefork', 'prethread', 'hybrid'].map((model) => mpserve(model, [app]));
  // A server of files has nothing that waits.
  const others = installed.filter(({ peer }) => routesOf(scenario).every((route) => peer.routes.includes(route)));
  const results = await bench({
    ...terms,
    app: path.relative(root, app),
    version: ours,
    targets: [...own, ...others.map(({ peer }) => target(peer))],
    scenarios: [scenario],
    onProgress: (progress) => line.show(progress),
    signal: controller.signal,
  });
  line.clear();
  if (results.interrupted) process.exit(130);
  blocks.push(table(results, scenario));
  for (const remark of notes(results)) remarks.add(remark);
}
const text = [...blocks, ...remarks].join('\n\n');
publish('npm run bench:peers', `medians of ${terms.rounds} rounds of ${terms.durationMs / 1000} s`, text, missing);
console.log(text);

function routesOf({ requests, load }) {
  const all = [...requests, load.background, load.every?.request].filter(Boolean);
  return all.map((request) => new URL(request.path, 'http://localhost').pathname);
}

function target(peer) {
  return {
    name: peer.name,
    command: peer.name,
    async start() {
      const { pid, url, bootMs, stop } = await launch(peer);
      return { pid, origin: url, bootMs, workers: 1, threads: 1, stop }; // its size is the peer's own word
    },
  };
}

function table(results, { name, summary }) {
  const [connections] = connectionsOf(results, name);
  const cells = row(results, name, connections);
  const columns = metrics.filter(
    (metric) => shown.includes(metric.name) && cells.some((cell) => cell && summarise(metric, cell)),
  );
  const lines = results.contenders.flatMap((contender, i) => {
    if (!cells[i]) return [];
    const words = columns.map((metric) => {
      const one = summarise(metric, cells[i]);
      return one ? metric.write(one.median) : '';
    });
    const { peer, version } = installed.find(({ peer }) => peer.name === contender.name) ?? {};
    const [who, size] = peer
      ? [`${peer.name} ${version}`, peer.size]
      : [`**mpserve** ${contender.name}`, contender.size];
    return [`| ${who}, ${size} | ${words.join(' | ')} |`];
  });
  const head = `| server, workers × threads | ${columns.map(({ title }) => title).join(' | ')} |\n|${' --- |'.repeat(columns.length + 1)}`;
  return `**${name}**: ${summary}, ${connections} connections\n\n${head}\n${lines.join('\n')}`;
}

function notes({ contenders, warnings }) {
  const failed = contenders
    .filter(({ failure }) => failure)
    .map(({ name, failure }) => `${name}: ${failure.split('\n')[0]}`);
  return [...failed, ...warnings].map((text) => `Note: ${text}.`);
}
