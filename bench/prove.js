// `npm run bench:prove`: runs `mpserve prove` on the demo, an Express and a Fastify app under each model, and writes
// the results into docs/benchmarks.md. Passes its arguments on. Exits 1 if a run had avoidable losses or failed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { publish } from './peers/benchmarks-page.js';

const directory = path.dirname(fileURLToPath(import.meta.url));
const mpserve = path.join(directory, '../bin/mpserve.js');
const fixtures = path.join(directory, '../test/fixtures/apps');
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
const apps = [
  ['the demo', []],
  ['Express', [path.join(fixtures, 'express.cjs')]],
  ['Fastify', [path.join(fixtures, 'fastify.mjs')]],
];
// The model, and --switches: every ordered pair for the first model, star-shaped for the others.
const runs = [
  ['prefork', 'all'],
  ['prethread', 'some'],
  ['prethread/request', 'some'],
  ['hybrid', 'some'],
  ['tpc', 'some'],
  ['ppc', 'some'],
];

const counts = ['app', 'model', 'trial', 'times', 'requests', 'failed', 'lost', 'reconnects', 'avoidable'];
const responseTimes = ['kept-alive', 'baseline', 'new', 'baseline'];
const head = [...counts, ...responseTimes];
const table = [head, head.map(() => '---')];
const notes = new Set();
try {
  for (const [name, app] of apps) {
    for (const [model, switches] of runs) {
      const { proofs, notes: newNotes } = prove(app, model, switches);
      for (const note of newNotes) notes.add(`- ${name}: ${note}`);
      for (const { trials } of proofs) table.push(...trials.flatMap((trial) => row(name, model, trial)));
      // Written after each run, because all runs take half an hour.
      const text = table.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
      publish('npm run bench:prove', 'response times in milliseconds', [text, ...notes].join('\n\n'), []);
    }
  }
} finally {
  rmSync(scratch, { recursive: true });
}

function prove(app, model, switches) {
  const file = path.join(scratch, 'proof.json');
  const args = ['prove', ...app, '--models', model, '--switches', switches, ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, [mpserve, ...args, '--json', file], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** One row; none for a skipped trial. */
function row(app, model, { trial, leftOut, failure, ...result }) {
  if (leftOut) return [];
  const { times, requests, failed, lost, reconnects, avoidable } = result;
  const figures = [times, requests.toLocaleString('en'), failed, lost, reconnects, avoidable];
  const longest = ['kept-alive', 'one request each'].flatMap((clientType) => {
    const { ms = 0, calmMs = 0 } = result.pauses.find(({ client }) => client === clientType) ?? {};
    return [ms, calmMs];
  });
  return [[app, model, failure ? `${trial}: ${failure}` : trial, ...figures, ...longest].map(String)];
}
