// `mpserve prove [app]`: injects reloads, crashes and hangs into a server under load, and prints the requests that its
// clients lost.
import { writeFileSync } from 'node:fs';
import type { Config } from '../config/config.js';
import { oneOf } from '../config/kind.js';
import type { Loaded } from '../config/load.js';
import { didYouMean } from '../config/nearest.js';
import { listOptions } from '../config/options.js';
import { proveTable as options } from '../config/prove-options.js';
import { escapeControls } from '../log/escape.js';
import { type ModelSetup, prove } from '../prove/prove.js';
import { table } from '../prove/table.js';
import type { Trial } from '../prove/trial.js';
import { trials } from '../prove/trials/index.js';
import { ProgressLine } from '../testbed/progress.js';
import type { Call } from './call.js';
import { checkWritable, interruptible, optionValue, version, wrong } from './comparison.js';

const exitCode = { noneLost: 0, lost: 1, interrupted: 130 } as const;

/**
 * Settings that `prove` sets itself. It drops `maxRequestsPerConnection`, because a connection that is closed at this
 * limit would count as a loss.
 */
const ownKeys: readonly string[] = [
  ...['app', 'bind', 'control', 'daemon', 'pidFile', 'maxRequestsPerConnection', 'demoFaults'],
  ...['logFile', 'logLevel', 'logFormat', 'accessLog', 'captureOutput'],
];

/** Resolves to the exit code. @throws StartupError */
export async function runProve(call: Call): Promise<number> {
  const value = async <K extends keyof typeof options>(key: K) =>
    (await optionValue(call, options[key])) as NonNullable<(typeof options)[K]['default']>;
  const models = await readModels(call);
  const chosenTrials = await readTrials(call);
  const json = await optionValue(call, options.json);
  if (json !== '-') checkWritable('json', json);
  const thinkMs = await value('think');
  const loaded = await Promise.all(models.map((model) => call.load({ model })));
  const [{ config } = await call.load()] = loaded;
  checkThinkTime(thinkMs, config);
  const path = await value('url');
  const progressLine = new ProgressLine();
  const run = async (signal: AbortSignal) =>
    prove({
      app: config.app ?? 'the built-in demo app',
      version: version(),
      setups: loaded.map((one) => modelSetup(call, one)),
      allModels: call.line.models.map(({ name }) => name),
      trials: chosenTrials,
      trialOptions: {
        reloads: await value('reloads'),
        scalings: await value('scalings'),
        upgrades: await value('upgrades'),
        switches: await value('switches'),
      },
      path,
      uploadPath: config.app === undefined ? '/echo' : path,
      keptAliveClients: await value('clients'),
      thinkMs,
      env: serverEnvironment(call),
      onProgress: (progress) => progressLine.show(progress),
      signal,
    });
  const results = await interruptible(run).finally(() => progressLine.clear());

  const text = `${JSON.stringify(results, undefined, 2)}\n`;
  if (json !== '-') console.log(table(results).replace(/[^\n]+/g, escapeControls));
  if (json === '-') process.stdout.write(text);
  else if (json !== undefined) writeFileSync(json, text);
  if (results.interrupted) return exitCode.interrupted;
  return results.avoidable + results.failures > 0 ? exitCode.lost : exitCode.noneLost;
}

async function readModels(call: Call): Promise<readonly string[]> {
  const known = call.line.models.map(({ name }) => name);
  const models = await optionValue(call, options.models);
  if (models === undefined) return [(await call.load()).config.model];
  if (call.values.model !== undefined) throw wrong('--model and --models exclude each other; remove --model');
  if (models.join() === 'all') return known;
  await checkNames('--models', models, known);
  return models;
}

async function readTrials(call: Call): Promise<readonly Trial[]> {
  const names = await optionValue(call, options.trials);
  if (names === undefined) return trials;
  await checkNames(
    '--trials',
    names,
    trials.map(({ name }) => name),
  );
  return trials.filter(({ name }) => names.includes(name));
}

async function checkNames(flag: string, names: readonly string[], known: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw wrong(`${flag} accepts ${oneOf(known, 'and')}, not '${unknown}'${await didYouMean(unknown, known)}`);
}

/** A client that idles longer than `--keep-alive-timeout` would lose its connection through no fault of the server. */
function checkThinkTime(thinkMs: number, { keepAliveTimeout }: Config): void {
  if (keepAliveTimeout === 0 || 2 * thinkMs < keepAliveTimeout) return;
  throw wrong(`--think must be less than half of --keep-alive-timeout, which is ${keepAliveTimeout} ms`);
}

/** The user's settings as the content of a configuration file in another directory, so paths become absolute. */
function modelSetup(call: Call, { config, sources }: Loaded): ModelSetup {
  const facts = call.line.models.find(({ name }) => name === config.model);
  if (!facts) throw new Error(`unknown model ${config.model}`);
  const userSettings = listOptions(call.table).flatMap(({ key, kind, inFile }) => {
    if (inFile === false || key === 'config' || ownKeys.includes(key)) return [];
    const value = config[key];
    const isSetByUser = !['default', 'model'].includes(sources[key].kind);
    if (value === undefined || !isSetByUser) return [];
    return [[key, kind.write(kind.rebase?.(value, process.cwd(), '/') ?? value)]];
  });
  const app = config.app === undefined ? {} : { app: absolutePath(call, config.app) };
  return { facts, settings: { ...Object.fromEntries(userSettings), ...app }, timeouts: config };
}

function absolutePath({ table }: Call, app: string): string {
  return table.app.kind.rebase?.(app, process.cwd(), '/') ?? app;
}

/** Without the variables of options, which would override the configuration file. */
function serverEnvironment({ table }: Call): NodeJS.ProcessEnv {
  const variables = listOptions(table).map(({ env }) => env);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !variables.includes(name)));
}
