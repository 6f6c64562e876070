// `npm run bench:advice`: checks the recommendations of `mpserve advise`. For four apps, compares the recommended model with
// the best model of `mpserve bench`. Exits 1 if a recommended model is more than 5 % worse in the deciding metric.
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

const throughput = {
  title: 'requests/s',
  of: ({ requestsPerSecond }) => requestsPerSecond,
  write: (n) => n.toFixed(0),
};
const completed = {
  title: 'completed requests',
  of: ({ requests, errors }) => requests / Math.max(1, requests + errors.connection + errors.timeout),
  write: (share) => `${(share * 100).toFixed(2)} %`,
};
const apps = [
  ['cpu', throughput],
  ['wait', throughput],
  ['mixed', throughput],
  ['faulty', completed],
];

try {
  console.log(
    `| app | deciding metric | advised model | its value | best model | its value | within 5 % |\n|${' --- |'.repeat(7)}`,
  );
  for (const [name, metric] of apps) {
    const { model } = run('advise', name);
    const { cells } = run('bench', name, '--scenarios', 'own', '--connections', '32', '--duration', '1500ms');
    const values = new Map(cells.map(({ contender, rounds }) => [contender, median(rounds.map(metric.of))]));
    const [best, max] = [...values].sort(([, a], [, b]) => b - a)[0];
    const advised = values.get(model);
    const isRight = advised >= max * (1 - tolerance);
    console.log(
      `| ${name} | ${metric.title} | ${model} | ${metric.write(advised)} | ${best} | ${metric.write(max)} | ${isRight ? 'yes' : 'NO'} |`,
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
