// `mpserve prove [app]`: injects reloads, crashes and hangs into a server under load, and prints the requests that its
// clients lost.
import { flatten, type Limits } from '../config/config.js';
import type { Loaded } from '../config/load.js';
import { type CommandValues, configOptions, listOptions } from '../config/options.js';
import { proveTable } from '../config/prove-options.js';
import type { TargetUrl } from '../config/target-url.js';
import { type Variant, variantOf, variantsOf } from '../config/variant.js';
import { configError, StartupError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import { type ModelSetup, prove } from '../prove/prove.js';
import type { Results } from '../prove/results.js';
import { table } from '../prove/table.js';
import { checkTarget, watchTarget } from '../prove/target.js';
import { trials } from '../prove/trials/index.js';
import type { Call } from './call.js';
import { readOptions } from './command-options.js';
import { checkNames, checkWritable, interruptible, writeJson } from './comparison.js';
import { version } from './version.js';

const noSwitch: Switchable = { variants: [], notes: [] };
const oneThread = 'all clients have one address, and with --sticky ip one thread would have all requests';
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
  ...['logRotate', 'logKeep', 'logCompress', 'accessLogFormat', 'accessLogSample', 'slow', 'logRedact'],
];

/** Settings that a server refuses whose threads serve connections, and those that it refuses without --max-inflight as well. */
const requestKeys: readonly string[] = ['tasksPerThread', 'retrySafe'];
const queueKeys: readonly string[] = ['queueMax', 'queueTimeout', 'shed', 'priorityPath'];

/** Resolves to the exit code. @throws StartupError */
export async function runProve(call: Call): Promise<number> {
  const given = await readOptions(call, proveTable);
  if (given.target !== undefined) return runTarget(call, given.target, given);
  if (given.duration !== undefined)
    throw configError('--duration does nothing without --target; each trial ends when its operations are done');
  const { json, think: thinkMs, url: path, reloads, scalings, upgrades, switches } = given;
  const variants = await chosenVariants(call, given.models);
  const knownTrials = trials.map(({ name }) => name);
  const { trials: chosenTrials = knownTrials } = given;
  await checkNames('--trials accepts', chosenTrials, knownTrials);
  if (json !== '-') checkWritable('json', json);
  const loaded = await Promise.all(variants.map(({ model, unit }) => call.load({ model, unit })));
  const [{ config, env } = await call.load()] = loaded;
  const { app } = config.loading;
  checkThinkTime(thinkMs, config.limits);
  const switchable = switches !== 'none' && chosenTrials.includes('switch') ? await switchableVariants(call) : noSwitch;
  const results = await interruptible((watch) =>
    prove({
      app: app ?? 'the built-in demo app',
      version: version(),
      setups: loaded.map((one) => modelSetup(call, one)),
      switchVariants: switchable.variants,
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
  return report(results, json);
}

/** The options of `prove` that say something of the clients or of the results. */
const targetKeys: readonly string[] = ['target', 'duration', 'clients', 'think', 'json'];

/** Reads no configuration file: the server runs already. @throws StartupError */
async function runTarget(call: Call, target: TargetUrl, given: CommandValues<typeof proveTable>): Promise<number> {
  const [app] = call.positionals;
  if (app !== undefined)
    throw configError(
      `--target asks a server that runs already, so prove starts no app; leave out '${app}' or --target`,
    );
  if (call.values.url !== undefined)
    throw configError(
      `--url does nothing with --target; give the path in the URL of --target, which is ${target.href}`,
    );
  const options = [...Object.values(proveTable), ...call.line.options];
  const other = options.find(({ key }) => call.values[key] !== undefined && !targetKeys.includes(key));
  if (other)
    throw configError(
      `--${other.flag} does nothing with --target, which starts no server and injects nothing; leave it out`,
    );
  const { json, clients: keptAliveClients, think: thinkMs, duration: durationMs } = given;
  if (json !== '-') checkWritable('json', json);
  const expected = await checkTarget(target); // Ctrl-C still ends the process
  const plan = { target, expected, version: version(), keptAliveClients, thinkMs, durationMs };
  return report(await interruptible((watch) => watchTarget({ ...plan, ...watch })), json);
}

/** @returns the exit code */
function report(results: Results, json: string | undefined): number {
  if (json === '-') console.log(JSON.stringify(results, undefined, 2));
  else console.log(escapeControls(table(results), '\n'));
  if (json !== undefined && json !== '-') writeJson(json, results);
  if (results.interrupted) return exitCode.interrupted;
  return results.avoidable + results.failures > 0 ? exitCode.lost : exitCode.noneLost;
}

async function chosenVariants(call: Call, names: readonly string[] | undefined): Promise<readonly Variant[]> {
  const known = variantsOf(call.line.models);
  if (names === undefined) {
    const { model, unit } = (await call.load()).config.pool;
    return [variantOf(model, unit)];
  }
  for (const key of ['model', 'unit']) {
    if (call.values[key] !== undefined) throw configError(`--${key} and --models exclude each other; remove --${key}`);
  }
  if (names.join() === 'all') return known;
  await checkNames(
    '--models accepts',
    names,
    known.map(({ name }) => name),
  );
  return names.flatMap((name) => known.filter((one) => one.name === name));
}

interface Switchable {
  readonly variants: readonly Variant[];
  /** Why the others are left out. */
  readonly notes: readonly string[];
}

/** Those that the user's settings allow: --sticky, for example, needs a model that keeps sessions. */
async function switchableVariants(call: Call): Promise<Switchable> {
  const variants: Variant[] = [];
  const notes: string[] = [];
  for (const variant of variantsOf(call.line.models)) {
    const { name, model, unit } = variant;
    try {
      const { config } = await call.load({ model, unit });
      if (unit === 'request' && config.sessions.sticky?.by === 'ip')
        notes.push(`no switch to ${name}, because ${oneThread}`);
      else variants.push(variant);
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      notes.push(`no switch to ${name}, because ${error.message}`);
    }
  }
  return { variants, notes };
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
  const { model, unit } = config.pool;
  const unused =
    unit === 'request' ? [] : config.overload.maxInflight > 0 ? requestKeys : [...requestKeys, ...queueKeys];
  const userSettings = configOptions(call.table).flatMap(({ key, kind }) => {
    if (ownKeys.includes(key) || unused.includes(key)) return [];
    const value = values[key];
    const isSetByUser = !['default', 'model'].includes(sources[key].kind);
    if (value === undefined || !isSetByUser) return [];
    return [[key, kind.write(kind.rebase?.(value, process.cwd(), '/') ?? value)]];
  });
  const app = values.app === undefined ? {} : { app: absolutePath(call, values.app) };
  return {
    facts,
    variant: variantOf(model, unit),
    retriesSafe: values.retrySafe,
    settings: { ...Object.fromEntries(userSettings), ...app },
    timeouts: values,
  };
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
