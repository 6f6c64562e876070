// `mpserve prove [app]`: does to a server what operators and bad luck do, with clients looking on, and prints what those
// have lost.
import { writeFileSync } from 'node:fs';
import { ProgressLine } from '../bench/progress.js';
import type { Config } from '../config/config.js';
import { oneOf } from '../config/kind.js';
import type { Loaded } from '../config/load.js';
import { didYouMean } from '../config/nearest.js';
import { listOptions } from '../config/options.js';
import { proveTable as options } from '../config/prove-options.js';
import { escapeControls } from '../log/escape.js';
import { type Contender, prove } from '../prove/prove.js';
import { table } from '../prove/table.js';
import type { Trial } from '../prove/trial.js';
import { trials } from '../prove/trials/index.js';
import type { Call } from './commands.js';
import { checkWritable, interruptible, optionValue, version, wrong } from './contest.js';

const exit = { kept: 0, lost: 1, interrupted: 130 } as const;

/** Settings that a proof makes itself; and a connection that is closed as it has had its share would look like a loss. */
const own: readonly string[] = [
  ...['app', 'bind', 'control', 'daemon', 'pidFile', 'maxRequestsPerConnection', 'demoFaults'],
  ...['logFile', 'logLevel', 'logFormat', 'accessLog', 'captureOutput'],
];

/** Resolves to the exit code. @throws StartupError */
export async function runProve(call: Call): Promise<number> {
  const value = async <K extends keyof typeof options>(key: K) =>
    (await optionValue(call, options[key])) as NonNullable<(typeof options)[K]['default']>;
  const names = await chosenModels(call);
  const chosen = await chosenTrials(call);
  const json = await optionValue(call, options.json);
  if (json !== '-') checkWritable('json', json);
  const thinkMs = await value('think');
  const loaded = await Promise.all(names.map((model) => call.load({ model })));
  const [{ config } = await call.load()] = loaded;
  checkThink(thinkMs, config);
  const path = await value('url');
  const line = new ProgressLine();
  const work = async (signal: AbortSignal) =>
    prove({
      app: config.app ?? 'the built-in demo app',
      version: version(),
      contenders: loaded.map((one) => contender(call, one)),
      models: call.line.models.map(({ name }) => name),
      trials: chosen,
      counts: {
        reloads: await value('reloads'),
        scalings: await value('scalings'),
        upgrades: await value('upgrades'),
        switches: await value('switches'),
      },
      path,
      uploadPath: config.app === undefined ? '/echo' : path,
      clients: await value('clients'),
      thinkMs,
      env: environment(call),
      onProgress: (progress) => line.show(progress),
      signal,
    });
  const results = await interruptible(work).finally(() => line.clear());

  const text = `${JSON.stringify(results, undefined, 2)}\n`;
  if (json !== '-') console.log(table(results).replace(/[^\n]+/g, escapeControls));
  if (json === '-') process.stdout.write(text);
  else if (json !== undefined) writeFileSync(json, text);
  if (results.interrupted) return exit.interrupted;
  return results.avoidable + results.failures > 0 ? exit.lost : exit.kept;
}

async function chosenModels(call: Call): Promise<readonly string[]> {
  const known = call.line.models.map(({ name }) => name);
  const models = await optionValue(call, options.models);
  if (models === undefined) return [(await call.load()).config.model];
  if (call.values.model !== undefined) throw wrong('--model and --models exclude each other; leave --model out');
  if (models.join() === 'all') return known;
  await checkNames('--models', models, known);
  return models;
}

async function chosenTrials(call: Call): Promise<readonly Trial[]> {
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
  const stranger = names.find((name) => !known.includes(name));
  if (stranger === undefined) return;
  throw wrong(`${flag} must be of ${oneOf(known, 'and')}, not '${stranger}'${await didYouMean(stranger, known)}`);
}

/** A client that thinks for longer than a connection may idle would lose it by its own fault. */
function checkThink(thinkMs: number, { keepAliveTimeout }: Config): void {
  if (keepAliveTimeout === 0 || 2 * thinkMs < keepAliveTimeout) return;
  throw wrong(`--think must be less than half of --keep-alive-timeout, which is ${keepAliveTimeout} ms`);
}

/** What the user has set, as a configuration file has it that lies elsewhere. */
function contender(call: Call, { config, sources }: Loaded): Contender {
  const facts = call.line.models.find(({ name }) => name === config.model);
  if (!facts) throw new Error(`there is no model ${config.model}`);
  const given = listOptions(call.table).flatMap(({ key, kind, inFile }) => {
    if (inFile === false || key === 'config' || own.includes(key)) return [];
    const value = config[key];
    const isGiven = !['default', 'model'].includes(sources[key].kind);
    if (value === undefined || !isGiven) return [];
    return [[key, kind.write(kind.rebase?.(value, process.cwd(), '/') ?? value)]];
  });
  const app = config.app === undefined ? {} : { app: absolute(call, config.app) };
  const { headerTimeout, requestTimeout, gracefulTimeout } = config;
  const limits = { headerMs: headerTimeout, requestMs: requestTimeout, gracefulMs: gracefulTimeout };
  return { facts, settings: { ...Object.fromEntries(given), ...app }, limits };
}

function absolute({ table }: Call, app: string): string {
  return table.app.kind.rebase?.(app, process.cwd(), '/') ?? app;
}

/** The configuration is in a file, so no variable may say otherwise. */
function environment({ table }: Call): NodeJS.ProcessEnv {
  const variables = listOptions(table).map(({ env }) => env);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !variables.includes(name)));
}
