// `mpserve advise [app]`: measures the models on the app and prints one recommendation with its reasons.
import { type Advice, advise, contenderOf } from '../bench/advice.js';
import { scenarios } from '../bench/scenario.js';
import { adviseTable } from '../config/bench-options.js';
import { escapeControls } from '../log/escape.js';
import type { Call } from './call.js';
import {
  type App,
  checkWritable,
  interruptible,
  readApp,
  readOptions,
  readOwnRequests,
  rootRequest,
  targetsFor,
  writeJson,
} from './comparison.js';
import { version } from './version.js';

/** Resolves to the exit code. @throws StartupError */
export async function runAdvise(call: Call): Promise<number> {
  const app = await readApp(call);
  const given = await readOptions(call, adviseTable);
  const { json, rounds, duration, connections } = given;
  const requests = readOwnRequests(given) ?? [rootRequest];
  checkWritable('json', json);
  const scenario = scenarios(requests).find(({ name }) => name === 'own');
  if (!scenario) throw new Error("the scenario 'own' does not exist");

  const { models } = call.line;
  const isPooled = ({ workers, threads }: (typeof models)[number]) => workers !== undefined || threads !== undefined;
  const names = (pooled: boolean) => models.filter((facts) => isPooled(facts) === pooled).map(({ name }) => name);
  const candidates = { pooled: targetsFor(names(true), app), perConnection: targetsFor(names(false), app) };
  const advice = await interruptible((watch) =>
    advise(candidates, scenario, {
      connections: [connections],
      rounds,
      durationMs: duration,
      rate: undefined,
      app: app.name,
      version: version(),
      ...watch,
    }),
  );

  if (json !== undefined) writeJson(json, advice);
  const isInterrupted = advice.results.some(({ interrupted }) => interrupted);
  console.log(
    isInterrupted ? 'Stopped before there were enough measurements.' : escapeControls(format(advice, app), '\n'),
  );
  return isInterrupted ? 130 : 0;
}

function format(advice: Advice, app: App): string {
  const { model, because, givesUp, confidence, isWorthIt, results } = advice;
  const settings = results[0]?.settings;
  const [workers = '1', threads = '1'] = contenderOf(advice, model)?.size.split(' × ') ?? [];
  const sizes = {
    ...(workers !== '1' && { workers: Number(workers) }),
    ...(threads !== '1' && { threads: Number(threads) }),
  };
  const flags = Object.entries(sizes).map(([key, value]) => `--${key} ${value}`);
  return [
    isWorthIt ? `Use ${model}.` : `Stay with ${model}, the default: no other model is significantly better.`,
    '',
    `Why:       ${because}`,
    ...givesUp.map((line, i) => `${i === 0 ? 'Trade-off: ' : '           '}${line}`),
    ...(givesUp.length === 0 ? ['Trade-off: none measured'] : []),
    `Certainty: ${confidence}, after ${settings?.rounds} round(s) of ${(settings?.durationMs ?? 0) / 1000} s with ${results[0]?.cells[0]?.connections} connection(s)`,
    '',
    `Run:       ${['mpserve', ...(app.isDemo ? [] : [app.args[0]]), '--model', model, ...flags].join(' ')}`,
    `Or set in: mpserve.config.json  ${JSON.stringify({ model, ...sizes })}`,
  ].join('\n');
}
