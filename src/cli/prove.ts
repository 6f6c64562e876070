// `mpserve prove [app]`: injects reloads, crashes and hangs into a server under load, and prints the requests that its
// clients lost.
import { flatten, type Limits } from '../config/config.js';
import type { Loaded } from '../config/load.js';
import { configOptions, listOptions } from '../config/options.js';
import { proveTable } from '../config/prove-options.js';
import { configError, StartupError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import { type ModelSetup, prove } from '../prove/prove.js';
import { table } from '../prove/table.js';
import { trials } from '../prove/trials/index.js';
import type { Call } from './call.js';
import { readOptions } from './command-options.js';
import { checkNames, checkWritable, interruptible, writeJson } from './comparison.js';
import { version } from './version.js';

const noSwitch: SwitchableModels = { models: [], notes: [] };
const noRateLimit = 'no --rate-limit, because all clients have one address';

const exitCode = { noneLost: 0, lost: 1, interrupted: 130 } as const;

/**
 * Settings that `prove` sets itself. It drops `maxRequestsPerConnection` and `rateLimit`, because a connection that is
 * closed or a request that is refused at this limit would count as a loss: all its clients have one address. The
 * environment of the servers has the variables of `envFile`.
 */
const ownKeys: readonly string[] = [
  ...['app', 'bind', 'port', 'host', 'control', 'daemon', 'watch', 'pidFile', 'demoFaults', 'envFile'],
  ...['maxRequestsPerConnection', 'rateLimit', 'logFile', 'logLevel', 'logFormat', 'accessLog', 'captureOutput'],
];

/** Resolves to the exit code. @throws StartupError */
export async function runProve(call: Call): Promise<number> {
  const given = await readOptions(call, proveTable);
  const { json, think: thinkMs, url: path, reloads, scalings, upgrades, switches } = given;
  const models = await chosenModels(call, given.models);
  const knownTrials = trials.map(({ name }) => name);
  const { trials: chosenTrials = knownTrials } = given;
  await checkNames('--trials accepts', chosenTrials, knownTrials);
  if (json !== '-') checkWritable('json', json);
  const loaded = await Promise.all(models.map((model) => call.load({ model })));
  const [{ config, env } = await call.load()] = loaded;
  const { app } = config.loading;
  checkThinkTime(thinkMs, config.limits);
  const switchable = switches !== 'none' && chosenTrials.includes('switch') ? await switchableModels(call) : noSwitch;
  const results = await interruptible((watch) =>
    prove({
      app: app ?? 'the built-in demo app',
      version: version(),
      setups: loaded.map((one) => modelSetup(call, one)),
      switchModels: switchable.models,
      trials: trials.filter(({ name }) => chosenTrials.includes(name)),
      trialOptions: { reloads, scalings, upgrades, switches },
      path,
      uploadPath: app === undefined ? '/echo' : path,
      keptAliveClients: given.clients,
      thinkMs,
      notes: [...switchable.notes, ...(config.limits.rateLimit ? [noRateLimit] : [])],
      env: serverEnvironment(call, env),
      ...watch,
    }),
  );

  if (json === '-') console.log(JSON.stringify(results, undefined, 2));
  else console.log(escapeControls(table(results), '\n'));
  if (json !== undefined && json !== '-') writeJson(json, results);
  if (results.interrupted) return exitCode.interrupted;
  return results.avoidable + results.failures > 0 ? exitCode.lost : exitCode.noneLost;
}

async function chosenModels(call: Call, models: readonly string[] | undefined): Promise<readonly string[]> {
  const known = call.line.models.map(({ name }) => name);
  if (models === undefined) return [(await call.load()).config.pool.model];
  if (call.values.model !== undefined) throw configError('--model and --models exclude each other; remove --model');
  if (models.join() === 'all') return known;
  await checkNames('--models accepts', models, known);
  return models;
}

interface SwitchableModels {
  readonly models: readonly string[];
  /** Why the others are left out. */
  readonly notes: readonly string[];
}

/** The models that the user's settings allow: --sticky, for example, needs one that keeps sessions. */
async function switchableModels(call: Call): Promise<SwitchableModels> {
  const models: string[] = [];
  const notes: string[] = [];
  for (const { name } of call.line.models) {
    try {
      await call.load({ model: name });
      models.push(name);
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      notes.push(`no switch to ${name}, because ${error.message}`);
    }
  }
  return { models, notes };
}

/** A client that idles longer than `--keep-alive-timeout` would lose its connection through no fault of the server. */
function checkThinkTime(thinkMs: number, { keepAliveTimeout }: Limits): void {
  if (keepAliveTimeout === 0 || 2 * thinkMs < keepAliveTimeout) return;
  throw configError(`--think must be less than half of --keep-alive-timeout, which is ${keepAliveTimeout} ms`);
}

/** The user's settings as the content of a configuration file in another directory, so paths become absolute. */
function modelSetup(call: Call, { config, sources }: Loaded): ModelSetup {
  const facts = call.line.models.find(({ name }) => name === config.pool.model);
  if (!facts) throw new Error(`unknown model ${config.pool.model}`);
  const values = flatten(config);
  const userSettings = configOptions(call.table).flatMap(({ key, kind }) => {
    if (ownKeys.includes(key)) return [];
    const value = values[key];
    const isSetByUser = !['default', 'model'].includes(sources[key].kind);
    if (value === undefined || !isSetByUser) return [];
    return [[key, kind.write(kind.rebase?.(value, process.cwd(), '/') ?? value)]];
  });
  const app = values.app === undefined ? {} : { app: absolutePath(call, values.app) };
  return { facts, settings: { ...Object.fromEntries(userSettings), ...app }, timeouts: values };
}

function absolutePath({ table }: Call, app: string): string {
  return table.app.kind.rebase?.(app, process.cwd(), '/') ?? app;
}

/**
 * Without the variables of options, which would override the configuration file.
 * @param fileEnv the variables of --env-file
 */
function serverEnvironment({ table }: Call, fileEnv: Loaded['env']): NodeJS.ProcessEnv {
  const variables = listOptions(table).map(({ env }) => env);
  return Object.fromEntries(
    Object.entries({ ...fileEnv, ...process.env }).filter(([name]) => !variables.includes(name)),
  );
}
