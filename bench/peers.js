// `npm run bench:peers`: compares the pooled models of mpserve with the other servers that are installed, under the same
// load. Writes the results to docs/benchmarks.md, whichever server is faster.
// With `--reload [--rounds N] [NAME ...]` compares the effect of reloads on clients; given names, it publishes nothing.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bench } from '../dist/bench/bench.js';
import { defaultScenarios, scenarios } from '../dist/bench/scenario.js';
import { connectionsOf, metrics, row, summarise } from '../dist/bench/summary.js';
import { mpserve } from '../dist/bench/target.js';
import { variantOf } from '../dist/config/variant.js';
import { ProgressLine } from '../dist/testbed/progress.js';
import { mpserveVersion, publish } from './peers/benchmarks-page.js';
import { compareReloads } from './peers/compare-reloads.js';
import { peers } from './peers/index.js';
import { launch } from './peers/launch.js';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const app = path.join(root, 'bench/peers/app.js');
const settings = { connections: [64], rounds: 3, durationMs: 1500, rate: undefined };
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

const own = [
  ...['prefork', 'prethread', 'hybrid'].map((model) => variantOf(model, 'connection')),
  variantOf('prethread', 'request'),
];
const installed = [];
const missing = [];
for (const peer of peers) {
  const version = await peer.version();
  if (version === undefined) missing.push(peer.name);
  else installed.push({ peer, version });
}

const line = new ProgressLine();
const blocks = [];
const allNotes = new Set();
for (const scenario of defaultScenarios(scenarios([{ path: '/', method: 'GET', headers: {} }]), true)) {
  const models = own.map(({ name, model, unit }) => mpserve({ name, model }, [app, '--unit', unit]));
  // A server of static files lacks the routes of some scenarios.
  const others = installed.filter(({ peer }) => routesOf(scenario).every((route) => peer.routes.includes(route)));
  const results = await bench({
    ...settings,
    app: path.relative(root, app),
    version: mpserveVersion,
    targets: [...models, ...others.map(({ peer }) => targetOf(peer))],
    scenarios: [scenario],
    onProgress: (progress) => line.show(progress),
    signal: controller.signal,
  });
  line.clear();
  if (results.interrupted) process.exit(130);
  blocks.push(table(results, scenario));
  for (const note of notesOf(results)) allNotes.add(note);
}
const text = [...blocks, ...allNotes].join('\n\n');
publish(
  'npm run bench:peers',
  `medians of ${settings.rounds} rounds of ${settings.durationMs / 1000} s`,
  text,
  missing,
);
console.log(text);

function routesOf({ requests, load }) {
  const all = [...requests, load.background, load.every?.request].filter(Boolean);
  return all.map((request) => new URL(request.path, 'http://localhost').pathname);
}

function targetOf(peer) {
  return {
    name: peer.name,
    command: peer.name,
    async start() {
      const { pid, url, bootMs, stop } = await launch(peer);
      return { pid, origin: url, bootMs, workers: 1, threads: 1, stop }; // not known to `bench`; the table prints the peer's `size`
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
    const values = columns.map((metric) => {
      const one = summarise(metric, cells[i]);
      return one ? metric.write(one.median) : '';
    });
    const { peer, version } = installed.find(({ peer }) => peer.name === contender.name) ?? {};
    const [server, size] = peer
      ? [`${peer.name} ${version}`, peer.size]
      : [`**mpserve** ${contender.name}`, contender.size];
    return [`| ${server}, ${size} | ${values.join(' | ')} |`];
  });
  const head = `| server, workers × threads | ${columns.map(({ title }) => title).join(' | ')} |\n|${' --- |'.repeat(columns.length + 1)}`;
  return `**${name}**: ${summary}, ${connections} connections\n\n${head}\n${lines.join('\n')}`;
}

function notesOf({ contenders, warnings }) {
  const failed = contenders
    .filter(({ failure }) => failure)
    .map(({ name, failure }) => `${name}: ${failure.split('\n')[0]}`);
  return [...failed, ...warnings].map((text) => `Note: ${text}.`);
}
