// Makes the `Config`: of each option, the value of highest precedence (command line, environment, configuration
// file, default), read, checked, and checked against the others; and where it came from. Prints nothing.
import path from 'node:path';
import { inspect } from 'node:util';
import { ExitCode, StartupError } from '../errors.js';
import { appExtensions, findApp } from './app-path.js';
import type { Config } from './config.js';
import { findConfigFile, readConfigFile } from './config-file.js';
import { accept, checkBind, controlBeside, headerTimeout, type Machine, units } from './constraints.js';
import { type Kind, oneOf } from './kind.js';
import type { ModelFacts } from './model.js';
import { didYouMean } from './nearest.js';
import { listOptions, type Option, type OptionTable, type Settings } from './options.js';
import { origin, type Source, setting } from './source.js';

export interface Loaded {
  readonly config: Config;
  readonly sources: Sources;
  /** One line each: settings that do nothing, variables that look mistyped. */
  readonly warnings: readonly string[];
}
export type Sources = Readonly<Record<keyof Config, Source>>;

/** Raw values by the keys of their options. */
export type Overrides = Readonly<Record<string, string>>;

export interface Input {
  readonly table: OptionTable;
  readonly models: readonly ModelFacts[];
  /** By the key of their option, as `readArguments` leaves them; the app is `app`. */
  readonly argv: Readonly<Record<string, unknown>>;
  /** What an operator has told the running server, by the key of its option; before all else. */
  readonly operator?: Overrides | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory of this process. */
  readonly cwd: string;
  readonly machine: Machine;
  /** Words that are no app when they stand first; a near miss of one is pointed out. */
  readonly commands?: readonly string[];
}

interface Given {
  readonly raw: unknown;
  readonly source: Source;
}
type Key = keyof Settings;

/** Throws a `StartupError` for whatever is wrong in what the user gave, or if the app is not there. */
export async function loadConfig(input: Input): Promise<Loaded> {
  const { table, models, cwd } = input;
  const given = await gather(input);
  const name = await read(table.model, given.get('model'), cwd);
  const facts = models.find((facts) => facts.name === (name ?? table.model.default));
  if (!facts) throw new Error(`the default model ${name} is not among the models`);

  const values: Partial<Record<Key, unknown>> = {};
  const sources: Partial<Record<Key, Source>> = {};
  for (const option of listOptions(table)) {
    const { key } = option;
    const derived = typeof option.default === 'function';
    values[key] = await read(option, given.get(key), cwd);
    values[key] ??= derived ? (option.default as (facts: ModelFacts) => unknown)(facts) : option.default;
    // Where the model leaves no choice, what the user said does not count.
    const fixed = option.idle?.(facts, undefined) !== undefined;
    const otherwise: Source = derived || fixed ? { kind: 'model', model: facts.name } : { kind: 'default' };
    sources[key] = fixed ? otherwise : (given.get(key)?.source ?? otherwise);
  }
  const settings = values as Settings;
  const from = sources as Record<Key, Source>;
  const warnings = [...idleOptions(table, facts, settings, given), ...(await mistypedVariables(table, input.env))];

  checkBind(settings.bind, from.bind);
  const { config: _, ...rest } = settings;
  const config: Config = Object.freeze({
    ...rest,
    app: await presentApp(settings.app, from.app, input),
    ...units(settings, from, facts, input.machine),
    accept: accept(settings, from, facts),
    control: settings.control ?? controlBeside(settings.pidFile),
    headerTimeout: headerTimeout(settings, from),
  });
  Object.freeze(config.bind);
  Object.freeze(config.nodeArg);
  const { config: __, ...told } = from;
  const isBeside = settings.control === undefined && settings.pidFile !== undefined;
  return { config, sources: isBeside ? { ...told, control: from.pidFile } : told, warnings };
}

/** What the user gave, the highest precedence only, not yet read. */
async function gather({ table, argv, operator = {}, env, cwd }: Input): Promise<Map<Key, Given>> {
  const given = new Map<Key, Given>();
  for (const { key, flag, env: name, kind, positional } of listOptions(table)) {
    if (operator[key] !== undefined) {
      given.set(key, { raw: operator[key], source: { kind: 'operator', flag: `--${flag}` } });
    } else if (argv[key] !== undefined) {
      given.set(key, { raw: argv[key], source: { kind: 'argv', flag: positional ? key : `--${flag}` } });
    } else if (env[name]) {
      const raw = kind.repeatable ? env[name].trim().split(/\s+/) : env[name];
      given.set(key, { raw, source: { kind: 'env', name } });
    }
  }
  const named = await read(table.config, given.get('config'), cwd);
  const file = named === undefined ? findConfigFile(cwd) : path.resolve(cwd, named);
  if (file === undefined) return given;
  const who = given.get('config');
  const content = await readConfigFile(file, who ? origin(who.source) : 'found in the current directory');
  const keys = listOptions(table).filter((option) => option.inFile !== false);
  const names = keys.map(({ key }) => key);
  for (const [name, raw] of Object.entries(content)) {
    const option = keys.find(({ key }) => key === name);
    if (!option) {
      const hint = await didYouMean(name, names);
      throw wrong(`unknown key ${inspect(name)} in ${file}${hint || '; mpserve --help lists the options'}`);
    }
    if (raw !== undefined && !given.has(option.key)) {
      given.set(option.key, { raw, source: { kind: 'file', path: file, key: name } });
    }
  }
  return given;
}

async function read<T>(option: Option<T>, given: Given | undefined, cwd: string): Promise<T | undefined> {
  if (!given) return undefined;
  const { raw, source } = given;
  const value = await readValue(option.kind, raw, source);
  const base = source.kind === 'file' ? path.dirname(source.path) : cwd;
  return option.kind.rebase ? option.kind.rebase(value, base, cwd) : value;
}

/** @throws StartupError that names what the user has to change */
export async function readValue<T>(kind: Kind<T>, raw: unknown, source: Source): Promise<T> {
  const reading = kind.read(raw);
  if ('value' in reading) return reading.value;
  const offender = reading.offender ?? raw;
  const hint = kind.choices && typeof offender === 'string' ? await didYouMean(offender, kind.choices) : '';
  const shown = inspect(offender, { depth: 1, breakLength: Infinity, maxStringLength: 100 });
  throw wrong(`${setting(source)} must ${reading.refused}, not ${shown}${hint}`);
}

function idleOptions(
  table: OptionTable,
  facts: ModelFacts,
  settings: Settings,
  given: Map<Key, Given>,
): readonly string[] {
  return listOptions(table).flatMap((option) => {
    const source = given.get(option.key)?.source;
    // Whoever asks for what holds anyway, as a written-out configuration does, need not hear of it.
    const isDefault = settings[option.key] === option.default;
    const why = source && !isDefault && option.idle?.(facts, settings.app);
    return why ? [`${setting(source)} does nothing ${why}`] : [];
  });
}

/** Only near misses: a cluster sets variables such as MPSERVE_PORT for a service of this name. */
async function mistypedVariables(table: OptionTable, env: Input['env']): Promise<readonly string[]> {
  const known = listOptions(table).map((option) => option.env);
  const strangers = Object.keys(env).filter((name) => name.startsWith('MPSERVE_') && !known.includes(name));
  const suffixes = known.map((name) => name.slice('MPSERVE_'.length));
  const warnings: string[] = [];
  for (const name of strangers) {
    const hint = await didYouMean(name.slice('MPSERVE_'.length), suffixes, 'MPSERVE_');
    if (hint) warnings.push(`the variable ${name} is not read${hint}`);
  }
  return warnings;
}

async function presentApp(
  app: string | undefined,
  source: Source,
  { cwd, models, commands = [] }: Input,
): Promise<string | undefined> {
  if (app === undefined) return undefined;
  const named = `the app ${inspect(app)} (${origin(source)})`;
  let found: string | undefined;
  try {
    found = findApp(app, cwd);
  } catch (error) {
    throw new StartupError(ExitCode.app, `${named} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (found !== undefined) return found;
  const names = models.map(({ name }) => name);
  const word = source.kind === 'argv' && /^\w+$/.test(app);
  const hint = word ? (await didYouMean(app, commands, 'mpserve ')) || (await didYouMean(app, names, '--model ')) : '';
  const tried = `looked for ${path.resolve(cwd, app)}, also with ${oneOf(appExtensions)}`;
  throw new StartupError(ExitCode.app, `${named} does not exist: ${tried}${hint}`);
}

function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
