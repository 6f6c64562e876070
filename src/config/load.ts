// Creates the `Config`: takes the value of highest precedence for each option (command line, environment, configuration
// file, default), parses it, checks it alone and with the others, and records its source. Prints nothing.
import path from 'node:path';
import { inspect } from 'node:util';
import { configError, ExitCode, StartupError } from '../errors.js';
import { appExtensions, findApp } from './app-path.js';
import { type Config, loopsWithConnections, type Values } from './config.js';
import { findConfigFile, readConfigFile } from './config-file.js';
import {
  checkAdmin,
  checkBalance,
  checkCache,
  checkCompress,
  checkDaemonOutput,
  checkDirectory,
  checkOverload,
  checkProxyProtocol,
  checkRotation,
  checkStatic,
  checkSticky,
  defaultLogFile,
  type Machine,
  type PoolSizes,
  resolveAccept,
  resolveControl,
  resolveHeaderTimeout,
  resolvePoolSize,
  resolveUnit,
  resolveWsDrain,
} from './constraints.js';
import type { FileVariable } from './env-file.js';
import { type Kind, oneOf } from './kind.js';
import { overriddenAddresses, resolveAddresses } from './listen-address.js';
import type { ModelFacts } from './model.js';
import { didYouMean } from './nearest.js';
import {
  type ConfigKey,
  configOptions,
  type Key,
  listOptions,
  type Option,
  type OptionTable,
  type Settings,
} from './options.js';
import { origin, type Source, setting } from './source.js';

export interface Loaded {
  readonly config: Config;
  readonly sources: Sources;
  /** The variables of --env-file. They may be secret, so no command shows them. */
  readonly env: Readonly<Record<string, string>>;
  /** The sizes of the pool with other resources than those at the time of loading, from which `auto` is derived. */
  readonly sizesOn: (machine: Machine) => PoolSizes;
  /** In the order of `routes`; none where all requests have the same workers. */
  readonly routes: readonly LoadedRoute[];
  /** One line each: settings that do nothing with this model or app, environment variables that look mistyped. */
  readonly warnings: readonly string[];
}
export type Sources = Readonly<Record<ConfigKey, Source>>;

/** The settings of the workers of a route. */
export interface LoadedRoute extends Pick<Loaded, 'config' | 'sources' | 'sizesOn'> {
  readonly match: string;
}

/** Where the control socket of a running server is, if a setting says so. */
export interface ControlLocation {
  readonly path: string | undefined;
  readonly source: Source;
}

/** Raw values by option key. */
export type Overrides = Readonly<Record<string, string>>;

export interface Input {
  readonly table: OptionTable;
  readonly models: readonly ModelFacts[];
  /** Values by option key, as `readArguments` returns them; the positional argument is `app`. */
  readonly argv: Readonly<Record<string, unknown>>;
  /**
   * What the operator has changed in the running server (`mpserve ctl switch`), by option key; the highest precedence.
   */
  readonly operator?: Overrides | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory of this process. */
  readonly cwd: string;
  readonly machine: Machine;
  /** Names what the user may have meant by a word that is no app; an empty string if it resembles nothing. */
  readonly suggest?: (word: string) => Promise<string>;
}

interface Given {
  readonly raw: unknown;
  readonly source: Source;
}

/** Throws a `StartupError` for any wrong setting, or if the app does not exist. */
export async function loadConfig(input: Input): Promise<Loaded> {
  const { table } = input;
  const { given, base, file, variables } = await collectGiven(input);
  if (file) await checkKeys(table, file);
  for (const key of overriddenAddresses(given)) given.delete(key);
  const env = Object.fromEntries([...variables].map(([name, { value }]) => [name, value]));
  const { config, sources, sizesOn, warnings } = await resolve(given, base, input);
  const routes = await resolveRoutes(config, sources.routes, given, base, input);
  const mistyped = await mistypedVariables(table, { ...env, ...input.env });
  return {
    config,
    sources,
    env,
    sizesOn,
    routes: routes.map(({ warnings, ...route }) => route),
    warnings: [...warnings, ...mistyped, ...routes.flatMap((route) => route.warnings)],
  };
}

type Resolved = Pick<Loaded, 'config' | 'sources' | 'sizesOn' | 'warnings'>;

async function resolve(given: ReadonlyMap<Key, Given>, base: string, input: Input): Promise<Resolved> {
  const { table, models, cwd } = input;
  const name = await read(table.model, given.get('model'), base, cwd);
  const facts = models.find((facts) => facts.name === (name ?? table.model.default));
  if (!facts) throw new Error(`the default model ${name} is not among the models`);

  const values: Partial<Record<Key, unknown>> = {};
  const sources: Partial<Record<Key, Source>> = {};
  const warnings: string[] = [];
  for (const option of listOptions(table)) {
    const { key, default: byDefault, hasEffect = () => true, isForDemo = false } = option;
    const own = given.get(key);
    values[key] = await read(option, own, isOfCommand(key) ? cwd : base, cwd);
    values[key] ??= typeof byDefault === 'function' ? (byDefault as (facts: ModelFacts) => unknown)(facts) : byDefault;
    // A setting that has no effect in this model is reported with the model as its source.
    const isFixed = !hasEffect(facts);
    const byModel = isFixed || typeof byDefault === 'function';
    const fallback: Source = byModel ? { kind: 'model', model: facts.name } : { kind: 'default' };
    sources[key] = isFixed || !own ? fallback : own.source;
    // No warning for a value that equals the default: a configuration file may list every option.
    if (!own || values[key] === byDefault) continue;
    if (isFixed) warnings.push(`${setting(own.source)} does nothing with the model ${facts.name}`);
    else if (isForDemo && given.has('app')) warnings.push(`${setting(own.source)} does nothing when an app is given`);
  }
  const settings = values as Settings;
  const from = sources as Record<Key, Source>;

  checkDirectory(settings, from);
  checkDaemonOutput(settings, from);
  const { bind, source: bindSource } = resolveAddresses(settings, from);
  const { control, source: controlSource } = resolveControl(settings, from);
  const accept = resolveAccept(settings, from, facts);
  const sizesOn = (machine: Machine): PoolSizes => resolvePoolSize(settings, from, facts, machine);
  const resolved: Values = {
    ...settings,
    bind,
    app: await resolveApp(settings.app, from.app, input),
    ...sizesOn(input.machine),
    accept,
    unit: resolveUnit(settings, from, facts, { accept }, table),
    control,
    logFile: settings.logFile ?? defaultLogFile(settings, base === cwd ? '' : base),
    headerTimeout: resolveHeaderTimeout(settings, from),
    wsDrain: resolveWsDrain(settings, from),
  };
  warnings.push(...checkBalance(settings, from, facts, resolved, table));
  checkSticky(settings, from, facts, resolved);
  checkProxyProtocol(settings, from, table);
  checkOverload(settings, from, table);
  checkCache(settings, from, table, loopsWithConnections(resolved, facts.once), input.machine);
  checkAdmin(settings, from);
  warnings.push(...checkRotation(settings, resolved.logFile, from, table));
  warnings.push(...checkStatic(resolved, from, cwd), ...checkCompress(resolved, from, cwd));
  from.control = controlSource;
  if (settings.logFile === undefined && settings.daemon) from.logFile = from.daemon;
  from.bind = bindSource;
  const { config: _, ...shown } = from;
  return { config: inSections(table, resolved), sources: shown, sizesOn, warnings };
}

/** The settings of each route: its own, and those that are the same for all. @throws StartupError */
async function resolveRoutes(
  { server: { routes }, pool }: Config,
  of: Source,
  given: ReadonlyMap<Key, Given>,
  base: string,
  input: Input,
): Promise<readonly (LoadedRoute & Resolved)[]> {
  if (routes.length === 0) return [];
  const { table } = input;
  const { checkRoutes, isOfWorkers } = await import('./routes.js');
  await checkRoutes(routes, of, table);
  const model = given.get('model');
  if (model && pool.model !== table.model.default) {
    const advice = `give a model to each route instead, as in { match: '*', model: '${pool.model}' }`;
    throw configError(
      `${setting(model.source)} does not go with routes, whose connections ${table.model.default} has; ${advice}`,
    );
  }
  const common = [...given].filter(([key]) => key !== 'routes' && !isOfWorkers(table[key]));
  const resolved: (LoadedRoute & Resolved)[] = [];
  for (const { match, ...own } of routes) {
    const ownGiven = Object.entries(own).map(([key, raw]) => {
      return [key as Key, { raw, source: { kind: 'route', match, key, of } }] as const;
    });
    resolved.push({ match, ...(await resolve(new Map<Key, Given>([...common, ...ownGiven]), base, input)) });
  }
  return resolved;
}

/**
 * Reads no other setting, because they concern the next start: a server must obey `mpserve ctl` whatever has become of its
 * configuration or app meanwhile. If the command line or a variable names the socket, reads no file either.
 * @throws StartupError
 */
export async function locateControl(input: Input): Promise<ControlLocation> {
  const { table, cwd } = input;
  const byCommand = givenByCommand(input);
  const { given, base } = byCommand.has('control')
    ? { given: byCommand, base: await directoryOf(table, byCommand.get('cwd'), cwd) }
    : await collectGiven(input);
  const sourceOf = (key: Key): Source => given.get(key)?.source ?? { kind: 'default' };
  const control = await read(table.control, given.get('control'), base, cwd);
  const pidFile = control === undefined ? await read(table.pidFile, given.get('pidFile'), base, cwd) : undefined;
  const from = { control: sourceOf('control'), pidFile: sourceOf('pidFile') };
  const { control: path, source } = resolveControl({ control, pidFile }, from);
  return { path, source };
}

/** Frozen, with all that it has. */
export function inSections(table: OptionTable, values: Values): Config {
  const config: Record<string, Record<string, unknown>> = {};
  for (const { section, key } of configOptions(table)) {
    config[section] = Object.freeze({ ...config[section], [key]: Object.freeze(values[key]) });
  }
  return Object.freeze(config) as Config;
}

interface Collected {
  /** The raw value of highest precedence for each option that the user gave. */
  readonly given: Map<Key, Given>;
  /** The directory at which relative paths start that are not in a file. */
  readonly base: string;
  readonly file: ConfigFile | undefined;
  /** Of --env-file. */
  readonly variables: ReadonlyMap<string, FileVariable>;
}

interface ConfigFile {
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
}

async function collectGiven(input: Input): Promise<Collected> {
  const { table, cwd } = input;
  const byCommand = givenByCommand(input);
  const base = await directoryOf(table, byCommand.get('cwd'), cwd);
  const file = await readFile(table, byCommand.get('config'), base, cwd);
  const byFile = file ? givenByFile(table, file) : new Map<Key, Given>();
  const variables = await readVariables(table, byCommand.get('envFile') ?? byFile.get('envFile'), cwd);
  const byVariable = new Map<Key, Given>();
  for (const { key, env, kind } of listOptions(table)) {
    const variable = variables.get(env);
    if (!variable?.value || isOfCommand(key) || key === 'config') continue;
    const source = { kind: 'file', path: variable.path, key: env } as const;
    byVariable.set(key, { raw: fromVariable(kind, variable.value), source });
  }
  return { given: new Map([...byFile, ...byVariable, ...byCommand]), base, file, variables };
}

function givenByCommand({ table, argv, operator = {}, env }: Input): ReadonlyMap<Key, Given> {
  const given = new Map<Key, Given>();
  for (const { key, flag, env: name, kind, positional, section } of listOptions(table)) {
    if (operator[key] !== undefined) {
      const command = section === 'placing' ? 'balance' : 'switch';
      given.set(key, { raw: operator[key], source: { kind: 'operator', command, flag: `--${flag}` } });
    } else if (argv[key] !== undefined) {
      given.set(key, { raw: argv[key], source: { kind: 'argv', flag: positional ? key : `--${flag}` } });
    } else if (env[name]) {
      given.set(key, { raw: fromVariable(kind, env[name]), source: { kind: 'env', name } });
    }
  }
  return given;
}

async function readFile(
  table: OptionTable,
  setting: Given | undefined,
  base: string,
  cwd: string,
): Promise<ConfigFile | undefined> {
  const configPath = await read(table.config, setting, base, cwd);
  const file = configPath === undefined ? findConfigFile(base) : path.resolve(cwd, configPath);
  if (file === undefined) return undefined;
  const content = await readConfigFile(file, setting ? origin(setting.source) : 'found in the current directory');
  return { path: file, content };
}

/** @throws StartupError for a key that is no option */
async function checkKeys(table: OptionTable, { path, content }: ConfigFile): Promise<void> {
  const known: readonly string[] = configOptions(table).map(({ key }) => key);
  const unknown = Object.keys(content).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const hint = await didYouMean(unknown, known);
  throw configError(`unknown key ${inspect(unknown)} in ${path}${hint || '; mpserve --help lists the options'}`);
}

/** The settings of the configuration file. */
function givenByFile(table: OptionTable, { path, content }: ConfigFile): ReadonlyMap<Key, Given> {
  const given = new Map<Key, Given>();
  for (const { key } of configOptions(table)) {
    if (Object.hasOwn(content, key) && content[key] !== undefined)
      given.set(key, { raw: content[key], source: { kind: 'file', path, key } });
  }
  return given;
}

/** The directory of --cwd. */
async function directoryOf(table: OptionTable, given: Given | undefined, cwd: string): Promise<string> {
  const directory = await read(table.cwd, given, cwd, cwd);
  return directory === undefined ? cwd : path.resolve(cwd, directory);
}

async function readVariables(
  table: OptionTable,
  given: Given | undefined,
  cwd: string,
): Promise<ReadonlyMap<string, FileVariable>> {
  if (!given) return new Map();
  const paths = (await read(table.envFile, given, cwd, cwd)) ?? [];
  const { readEnvFiles } = await import('./env-file.js');
  return readEnvFiles(
    paths.map((one) => path.resolve(cwd, one)),
    origin(given.source),
  );
}

/** Relative paths in it start at the directory of the command; those in others at `--cwd`. */
function isOfCommand(key: Key): boolean {
  return key === 'cwd' || key === 'envFile'; // node refuses to start if --env-file, even after the script, names no file
}

function fromVariable(kind: Kind<unknown>, text: string): unknown {
  return kind.repeatable ? text.trim().split(/\s+/) : text;
}

/** @param base the directory at which a relative path starts if it is not in a file */
async function read<T>(option: Option<T>, given: Given | undefined, base: string, cwd: string): Promise<T | undefined> {
  if (!given) return undefined;
  const { raw, source } = given;
  const value = await readValue(option.kind, raw, source);
  const start = source.kind === 'file' ? path.dirname(source.path) : base;
  return option.kind.rebase ? option.kind.rebase(value, start, cwd) : value;
}

/** @throws StartupError that names the setting that the user has to change */
export async function readValue<T>(kind: Kind<T>, raw: unknown, source: Source): Promise<T> {
  const reading = kind.read(raw);
  if ('value' in reading) return reading.value;
  const offender = reading.offender ?? raw;
  const known = kind.choices ?? kind.known;
  const hint = known && typeof offender === 'string' ? await didYouMean(offender, known) : '';
  const shown = inspect(offender, { depth: 1, breakLength: Infinity, maxStringLength: 100 });
  throw configError(`${setting(source)} must ${reading.refused}, not ${shown}${hint}`);
}

/** Warns only of names that resemble an option: Kubernetes sets MPSERVE_PORT and others for a service of this name. */
async function mistypedVariables(table: OptionTable, env: Input['env']): Promise<readonly string[]> {
  const known = listOptions(table).map((option) => option.env);
  const unknown = Object.keys(env).filter((name) => name.startsWith('MPSERVE_') && !known.includes(name));
  const suffixes = known.filter((name) => name.startsWith('MPSERVE_')).map((name) => name.slice('MPSERVE_'.length));
  const warnings: string[] = [];
  for (const name of unknown) {
    const suffix = name.slice('MPSERVE_'.length);
    // The variable of an option that has another name; its value is a URL if Kubernetes has set it.
    const isOther = known.includes(suffix);
    if (isOther && !/^\d+$/.test(env[name] ?? '')) continue;
    const hint = isOther ? `; did you mean ${suffix}?` : await didYouMean(suffix, suffixes, 'MPSERVE_');
    if (hint) warnings.push(`unknown environment variable ${name} is ignored${hint}`);
  }
  return warnings;
}

async function resolveApp(
  app: string | undefined,
  source: Source,
  { cwd, suggest }: Input,
): Promise<string | undefined> {
  if (app === undefined) return undefined;
  const appName = `the app ${inspect(app)} (${origin(source)})`;
  let found: string | undefined;
  try {
    found = findApp(app, cwd);
  } catch (error) {
    throw new StartupError(ExitCode.app, `${appName} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (found !== undefined) return found;
  const hint = source.kind === 'argv' ? ((await suggest?.(app)) ?? '') : '';
  const tried = `looked for ${path.resolve(cwd, app)}, also with ${oneOf(appExtensions)}`;
  throw new StartupError(ExitCode.app, `${appName} does not exist: ${tried}${hint}`);
}
