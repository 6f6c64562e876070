// `npm run bench:prove`: what `mpserve prove` finds on the demo, an Express and a Fastify app, in each model, into
// docs/benchmarks.md. Arguments are passed on. Exits 1 when anything was lost that need not have been.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { publish } from './peers/page.js';

const folder = path.dirname(fileURLToPath(import.meta.url));
const mpserve = path.join(folder, '../bin/mpserve.js');
const fixtures = path.join(folder, '../test/fixtures/apps');
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
const apps = [
  ['the demo', []],
  ['Express', [path.join(fixtures, 'express.cjs')]],
  ['Fastify', [path.join(fixtures, 'fastify.mjs')]],
];
// From one model all 20 pairs are walked; from the others to each other and back.
const walks = [
  ['prefork', 'all'],
  ['prethread', 'some'],
  ['hybrid', 'some'],
  ['tpc', 'some'],
  ['ppc', 'some'],
];

const head = ['app', 'model', 'trial', 'times', 'requests', 'lost', 'reconnects', 'of both avoidable'];
const pauses = ['kept ones', 'calm', 'new ones', 'calm'];
const table = [[...head, ...pauses], Array(head.length + pauses.length).fill('---')];
const notes = new Set();
try {
  for (const [name, app] of apps) {
    for (const [model, switches] of walks) {
      const { proofs, notes: more } = prove(app, model, switches);
      for (const note of more) notes.add(`- ${name}: ${note}`);
      for (const { trials } of proofs) table.push(...trials.flatMap((trial) => row(name, model, trial)));
      // After each, as all of them take half an hour.
      const text = table.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
      publish('npm run bench:prove', 'pauses in milliseconds', [text, ...notes].join('\n\n'), []);
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

/** None for a trial that is left out. */
function row(app, model, { trial, leftOut, failure, ...trialed }) {
  if (leftOut) return [];
  const { times, requests, lost, reconnects, avoidable } = trialed;
  const figures = [times, requests.toLocaleString('en'), lost, reconnects, avoidable];
  const longest = ['kept-alive', 'one request each'].flatMap((habit) => {
    const { ms = 0, calmMs = 0 } = trialed.pauses.find(({ client }) => client === habit) ?? {};
    return [ms, calmMs];
  });
  return [[app, model, failure ? `${trial}: ${failure}` : trial, ...figures, ...longest].map(String)];
}
