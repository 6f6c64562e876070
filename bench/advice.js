// `npm run bench:advice`: is `mpserve advise` right? For four apps, the model that it picks beside the best of a
// `bench` of all models. Exits 1 when the one is more than 5 % behind the other in what decides.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../dist/bench/summary.js';

const folder = path.dirname(fileURLToPath(import.meta.url));
const mpserve = path.join(folder, '../bin/mpserve.js');
const scratch = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
const tolerance = 0.05;

const speed = { title: 'requests/s', of: ({ requestsPerSecond }) => requestsPerSecond, write: (n) => n.toFixed(0) };
const answered = {
  title: 'requests answered',
  of: ({ requests, errors }) => requests / Math.max(1, requests + errors.connection + errors.timeout),
  write: (share) => `${(share * 100).toFixed(2)} %`,
};
const apps = [
  ['cpu', speed],
  ['wait', speed],
  ['mixed', speed],
  ['faulty', answered],
];

try {
  console.log(`| app | what decides | advised | of it | best | of that | within 5 % |\n|${' --- |'.repeat(7)}`);
  for (const [name, figure] of apps) {
    const { model } = run('advise', name);
    const { cells } = run('bench', name, '--scenarios', 'own', '--connections', '32', '--duration', '1500ms');
    const figures = new Map(cells.map(({ contender, rounds }) => [contender, median(rounds.map(figure.of))]));
    const [best, most] = [...figures].sort(([, a], [, b]) => b - a)[0];
    const own = figures.get(model);
    const isRight = own >= most * (1 - tolerance);
    console.log(
      `| ${name} | ${figure.title} | ${model} | ${figure.write(own)} | ${best} | ${figure.write(most)} | ${isRight ? 'yes' : 'NO'} |`,
    );
    if (!isRight) process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true });
}

function run(command, name, ...args) {
  const file = path.join(scratch, `${command}-${name}.json`);
  const app = path.join(folder, 'apps', `${name}.cjs`);
  execFileSync(process.execPath, [mpserve, command, app, ...args, '--json', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return JSON.parse(readFileSync(file, 'utf8'));
}
