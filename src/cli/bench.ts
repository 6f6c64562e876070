// `mpserve bench [app]`: compares the models on the app, prints a table, and writes the files of `--json` and `--html`.
import { readFileSync, writeFileSync } from 'node:fs';
import { bench } from '../bench/bench.js';
import { changes, readCondition, violations, writeChange, writeChanges } from '../bench/changes.js';
import { type Results, schema } from '../bench/results.js';
import { atRate, defaultScenarios, type Scenario, scenarios } from '../bench/scenario.js';
import { table } from '../bench/table.js';
import { benchTable as options } from '../config/bench-options.js';
import { oneOf } from '../config/kind.js';
import { didYouMean } from '../config/nearest.js';
import { escapeControls } from '../log/escape.js';
import { ProgressLine } from '../testbed/progress.js';
import type { Call } from './call.js';
import {
  checkWritable,
  interruptible,
  optionValue,
  readApp,
  readOwnRequests,
  targetsFor,
  version,
  wrong,
} from './comparison.js';

const exit = { done: 0, conditionHolds: 1, interrupted: 130 } as const;

/** Resolves to the exit code: 1 when a condition of --fail-if holds. @throws StartupError */
export async function runBench(call: Call): Promise<number> {
  const app = await readApp(call);
  const models = await chosenModels(call);
  const chosen = await chosenScenarios(call, app.isDemo);
  const [json, html] = [await optionValue(call, options.json), await optionValue(call, options.html)];
  checkWritable('json', json);
  checkWritable('html', html);
  const earlier = await readEarlier(call);
  const conditions = await readConditions(call, earlier);
  const rate = await optionValue(call, options.rate);

  const line = new ProgressLine();
  const results = await interruptible(async (signal) =>
    bench({
      app: app.name,
      version: version(),
      targets: targetsFor(models, app),
      scenarios: rate === undefined ? chosen : chosen.map((one) => atRate(one, rate)),
      connections: (await optionValue(call, options.connections)) ?? [],
      rounds: (await optionValue(call, options.rounds)) ?? 1,
      durationMs: (await optionValue(call, options.duration)) ?? 0,
      rate,
      onProgress: (progress) => line.show(progress),
      signal,
    }),
  ).finally(() => line.clear());

  console.log(table(results).replace(/[^\n]+/g, escapeControls));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`);
  if (html !== undefined) writeFileSync(html, (await import('../bench/page.js')).page(results));
  if (earlier !== undefined) {
    const all = changes(earlier, results);
    console.log(`\nCompared with ${earlier.at} (mpserve ${earlier.version}):\n${writeChanges(all)}`);
    const failures = conditions.flatMap((condition) => violations(all, condition).map((one) => ({ condition, one })));
    for (const { condition, one } of failures) console.log(`FAILED ${condition.text}: ${writeChange(one)}`);
    if (failures.length > 0) return exit.conditionHolds;
  }
  return results.interrupted ? exit.interrupted : exit.done;
}

async function chosenModels(call: Call): Promise<readonly string[]> {
  const known = call.line.models.map(({ name }) => name);
  const models = (await optionValue(call, options.models)) ?? known;
  await checkNames('--models', models, known);
  return models;
}

async function chosenScenarios(call: Call, isDemoApp: boolean): Promise<readonly Scenario[]> {
  const requests = await readOwnRequests(call, options);
  const all = scenarios(requests ?? [{ path: '/', method: 'GET', headers: {} }]);
  const names = await optionValue(call, options.scenarios);
  if (names === undefined) return defaultScenarios(all, isDemoApp && requests === undefined);
  await checkNames(
    '--scenarios',
    names,
    all.map(({ name }) => name),
  );
  const chosen = all.filter(({ name }) => names.includes(name));
  const demoOnly = chosen.find(({ isDemo }) => isDemo);
  if (demoOnly && !isDemoApp) {
    const others = all.filter(({ isDemo }) => !isDemo).map(({ name }) => name);
    throw wrong(`--scenarios ${demoOnly.name} needs the demo app; with your own app use ${oneOf(others)}`);
  }
  return chosen;
}

async function checkNames(flag: string, names: readonly string[], known: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw wrong(`${flag} must be a list of ${oneOf(known, 'and')}, not '${unknown}'${await didYouMean(unknown, known)}`);
}

async function readEarlier(call: Call): Promise<Results | undefined> {
  const file = await optionValue(call, options.compare);
  if (file === undefined) return undefined;
  let results: Results;
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw wrong(`--compare cannot read ${file}: ${(error as Error).message}`);
  }
  if (results?.schema !== schema)
    throw wrong(`--compare needs a file written by --json (${schema}); ${file} is not one`);
  return results;
}

async function readConditions(call: Call, earlier: Results | undefined) {
  const texts = (await optionValue(call, options.failIf)) ?? [];
  if (texts.length > 0 && !earlier) throw wrong('--fail-if needs the results of an earlier run; add --compare FILE');
  return texts.map((text) => {
    const reading = readCondition(text);
    if ('refused' in reading) throw wrong(`--fail-if must ${reading.refused}, not '${text}'`);
    return reading.value;
  });
}
