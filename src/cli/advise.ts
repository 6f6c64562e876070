// `mpserve advise [app]`: measures the models on the app and prints one recommendation with its reasons.
import { availableParallelism } from 'node:os';
import { type Advice, advise, contenderOf } from '../bench/advice.js';
import type { Results } from '../bench/results.js';
import { scenarios } from '../bench/scenario.js';
import { isSilent } from '../bench/summary.js';
import { adviseTable } from '../config/bench-options.js';
import { type Variant, variantsOf } from '../config/variant.js';
import { ExitCode, StartupError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import { formatDuration } from '../testbed/progress.js';
import type { Call } from './call.js';
import { readOptions } from './command-options.js';
import {
  type App,
  checkWritable,
  interruptible,
  readApp,
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
  const targets = (pooled: boolean) =>
    targetsFor(candidatesOf(models.filter((facts) => isPooled(facts) === pooled)), app);
  const candidates = { pooled: targets(true), perConnection: targets(false) };
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
  if (!isInterrupted && advice.results.every(({ cells }) => cells.every(isSilent))) {
    const problem = `no model answered a request within a round of ${duration / 1000} s`;
    throw new StartupError(ExitCode.app, `${problem}; measure longer rounds with --duration`);
  }
  console.log(
    isInterrupted
      ? 'Stopped before there were enough measurements.'
      : escapeControls(format(advice, app, variantsOf(models)), '\n'),
  );
  return isInterrupted ? 130 : 0;
}

/** Several processes that give requests to threads need more processors than this to be of use. */
const fewCores = 2;

function candidatesOf(models: Call['line']['models']): readonly Variant[] {
  const isUseful = ({ model, unit }: Variant) => {
    const hasProcesses = models.some(({ name, workers }) => name === model && workers !== undefined);
    return unit === 'connection' || !hasProcesses || availableParallelism() > fewCores;
  };
  return variantsOf(models).filter(isUseful);
}

function format(advice: Advice, app: App, variants: readonly Variant[]): string {
  const { model: name, because, givesUp, unitFinding, confidence, isWorthIt, isUnclear, results } = advice;
  const { model = name, unit } = variants.find((one) => one.name === name) ?? {};
  const settings = results[0]?.settings;
  const [workers = '1', threads = '1'] = contenderOf(advice, name)?.size.split(' × ') ?? [];
  const sizes = {
    ...(workers !== '1' && { workers: Number(workers) }),
    ...(threads !== '1' && { threads: Number(threads) }),
  };
  const ofRequests = unit === 'request' ? { unit } : {};
  const flags = Object.entries({ ...ofRequests, ...sizes }).map(([key, value]) => `--${key} ${value}`);
  const missing = results.flatMap(({ contenders }) => contenders.filter(({ failure }) => failure !== undefined));
  const staying = isUnclear
    ? `Stay with ${name}, the default, for now: the models cannot be told apart.`
    : `Stay with ${name}, the default: no other model is significantly better.`;
  return [
    isWorthIt ? `Use ${name}.` : staying,
    '',
    `Why:       ${because}`,
    ...givesUp.map((line, i) => `${i === 0 ? 'Trade-off: ' : '           '}${line}`),
    ...(givesUp.length === 0 ? ['Trade-off: none measured'] : []),
    ...(unitFinding === undefined ? [] : [`Unit:      ${unitFinding}`]),
    ...missing.map(({ name, failure }) => `Missing:   ${name} could not be measured: ${failure}`),
    `Certainty: ${confidence}, after ${settings?.rounds} round(s) of ${(settings?.durationMs ?? 0) / 1000} s with ${results[0]?.cells[0]?.connections} connection(s)`,
    ...(isUnclear ? [`To decide: ${stillNeeded(advice)}`] : []),
    '',
    `Run:       ${['mpserve', ...(app.isDemo ? [] : [app.args[0]]), '--model', model, ...flags].join(' ')}`,
    `Or set in: mpserve.config.json  ${JSON.stringify({ model, ...ofRequests, ...sizes })}`,
  ].join('\n');
}

/** The largest value of --rounds; more are as good as longer ones. */
const maxRounds = 100;

/** How long it would take to tell the models apart, and how to do it. */
function stillNeeded({ roundsNeeded, msPerRound = 0, results }: Advice): string {
  const { settings, contenders } = results[0] as Results;
  if (roundsNeeded === undefined) return 'more than one round, as one has no spread; use --rounds 3';
  const count = roundsNeeded < 20 ? roundsNeeded : Math.ceil(roundsNeeded / 10) * 10; // it is an estimate
  const factor = Math.ceil(count / maxRounds);
  const flags = [
    `--rounds ${Math.ceil(count / factor)}`,
    ...(factor > 1 ? [`--duration ${(factor * settings.durationMs) / 1000}s`] : []),
  ];
  const time = formatDuration(count * contenders.length * msPerRound);
  return `about ${count} such rounds, ${time}, if they spread as these did: ${flags.join(' ')}; less on a quieter machine`;
}
