// `mpserve bench [app]`: compares the models on the app, prints a table, and writes the files of `--json` and `--html`.
import { readFileSync, writeFileSync } from 'node:fs';
import { bench } from '../bench/bench.js';
import {
  changes,
  lostCells,
  readCondition,
  violations,
  writeChange,
  writeChanges,
  writeLoss,
} from '../bench/changes.js';
import { type Results, schema } from '../bench/results.js';
import { atRate, defaultScenarios, scenarios } from '../bench/scenario.js';
import { table } from '../bench/table.js';
import { benchTable } from '../config/bench-options.js';
import { oneOf } from '../config/kind.js';
import type { CommandValues } from '../config/options.js';
import { variantsOf } from '../config/variant.js';
import { configError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import type { Call } from './call.js';
import { readOptions } from './command-options.js';
import {
  checkNames,
  checkWritable,
  interruptible,
  readApp,
  readOwnRequests,
  rootRequest,
  targetsFor,
  writeJson,
} from './comparison.js';
import { version } from './version.js';

const exit = { done: 0, conditionHolds: 1, interrupted: 130 } as const;

/** Resolves to the exit code: 1 when a condition of --fail-if holds, or cannot be checked. @throws StartupError */
export async function runBench(call: Call): Promise<number> {
  const app = await readApp(call);
  const given = await readOptions(call, benchTable);
  const { json, html, rate, rounds, connections } = given;
  const variants = variantsOf(call.line.models);
  const known = variants.map(({ name }) => name);
  const models = given.models ?? known;
  await checkNames('--models must be a list of', models, known);
  const chosen = await chosenScenarios(given, app.isDemo);
  checkWritable('json', json);
  checkWritable('html', html);
  const earlier = readEarlier(given.compare);
  const conditions = readConditions(given.failIf ?? [], earlier);

  const results = await interruptible((watch) =>
    bench({
      app: app.name,
      version: version(),
      targets: targetsFor(
        models.flatMap((model) => variants.filter(({ name }) => name === model)),
        app,
      ),
      scenarios: rate === undefined ? chosen : chosen.map((one) => atRate(one, rate)),
      connections,
      rounds,
      durationMs: given.duration,
      rate,
      ...watch,
    }),
  );

  console.log(escapeControls(table(results), '\n'));
  if (json !== undefined) writeJson(json, results);
  if (html !== undefined) writeFileSync(html, (await import('../bench/page.js')).page(results));
  if (earlier !== undefined) {
    const all = changes(earlier, results);
    console.log(`\nCompared with ${earlier.at} (mpserve ${earlier.version}):\n${writeChanges(all)}`);
    // What is not measured any more has no change that a condition could hold for.
    const lost = conditions.length > 0 ? lostCells(earlier, results).map(writeLoss) : [];
    const failures = conditions.flatMap((condition) =>
      violations(all, condition).map((one) => `${condition.text}: ${writeChange(one)}`),
    );
    for (const failure of [...lost, ...failures]) console.log(`FAILED ${failure}`);
    if (lost.length + failures.length > 0) return exit.conditionHolds;
  }
  return results.interrupted ? exit.interrupted : exit.done;
}

async function chosenScenarios(given: CommandValues<typeof benchTable>, isDemoApp: boolean) {
  const requests = readOwnRequests(given);
  const all = scenarios(requests ?? [rootRequest]);
  const names = given.scenarios;
  if (names === undefined) return defaultScenarios(all, isDemoApp && requests === undefined);
  const known = all.map(({ name }) => name);
  await checkNames('--scenarios must be a list of', names, known);
  const chosen = all.filter(({ name }) => names.includes(name));
  const demoOnly = chosen.find(({ isDemo }) => isDemo);
  if (demoOnly && !isDemoApp) {
    const others = all.filter(({ isDemo }) => !isDemo).map(({ name }) => name);
    throw configError(`--scenarios ${demoOnly.name} needs the demo app; with your own app use ${oneOf(others)}`);
  }
  return chosen;
}

function readEarlier(file: string | undefined): Results | undefined {
  if (file === undefined) return undefined;
  let results: Results;
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw configError(`--compare cannot read ${file}: ${(error as Error).message}`);
  }
  if (results?.schema !== schema)
    throw configError(`--compare needs a file written by --json (${schema}); ${file} is not one`);
  return results;
}

function readConditions(texts: readonly string[], earlier: Results | undefined) {
  if (texts.length > 0 && !earlier)
    throw configError('--fail-if needs the results of an earlier run; add --compare FILE');
  return texts.map((text) => {
    const reading = readCondition(text);
    if ('refused' in reading) throw configError(`--fail-if must ${reading.refused}, not '${text}'`);
    return reading.value;
  });
}
