// Finds the app among the exports of a module, and describes the exports if none is an app. Does not load the module.
import { didYouMean } from '../config/nearest.js';
import { ExitCode, StartupError } from '../errors.js';
import type { App } from './app.js';
import { describeServer } from './capture.js';
import { ACCEPTED, isClass, recognise } from './kinds.js';

/** Names of exports that may be the app if the default export is not, in order of preference. */
const NAMES = ['app', 'server', 'handler', 'fetch'];
const KEYS_SHOWN = 8;

type Exports = Record<string, unknown>;

export interface Exported {
  readonly app: App;
  /** The exported value: an Express app, an `http.Server`, … */
  readonly value: unknown;
}

/** The export called `name`. Throws a `StartupError` if it does not exist or is not an app. */
export async function namedApp(exports: unknown, name: string, file: string): Promise<Exported> {
  const holder = [exports, defaultOf(exports)].find((value) => name in Object(value)) as Exports | undefined;
  if (holder === undefined) throw await noSuchExport(exports, name, file);
  const found = await usable(asNamed(name, holder[name]), file);
  if (found !== undefined) return found;
  throw new StartupError(
    ExitCode.app,
    `the app ${file}#${name} is ${describe(holder[name])}; mpserve accepts ${ACCEPTED}`,
  );
}

/** The export that is the app; undefined if none is. */
export async function exportedApp(exports: unknown, file: string): Promise<Exported | undefined> {
  const whole = isNamespace(exports) ? [] : [exports];
  const named = NAMES.map((name) => asNamed(name, Object(exports)[name]));
  for (const value of [...whole, defaultOf(exports), ...named]) {
    const found = await usable(value, file);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Completes "exports …" in an error: what a module without an app exports. */
export function describeExports(exports: unknown): string {
  const names = Object.keys(Object(exports));
  if (!isNamespace(exports)) return describe(exports);
  const found = defaultOf(exports);
  if (names.length === 0) return 'nothing';
  return found === undefined ? `only ${list(names)}` : `${describe(found)} as its default`;
}

/** A function called `fetch` is a fetch handler, regardless of its number of parameters. */
function asNamed(name: string, value: unknown): unknown {
  return name === 'fetch' && typeof value === 'function' ? { fetch: value } : value;
}

/** An export may be a promise of an app. The promise is checked last, because a Fastify instance is a thenable, too. */
async function usable(value: unknown, file: string): Promise<Exported | undefined> {
  const app = await recognise(value, file);
  if (app !== undefined) return { app, value };
  return value instanceof Promise ? usable(await value, file) : undefined;
}

/** Whether it is the namespace of an ES module, or of a CommonJS module that was compiled from one. */
function isNamespace(exports: unknown): boolean {
  const object = Object(exports);
  return object[Symbol.toStringTag] === 'Module' || object.__esModule === true;
}

function defaultOf(exports: unknown): unknown {
  return Object(exports).default;
}

async function noSuchExport(exports: unknown, name: string, file: string): Promise<StartupError> {
  const names = Object.keys(Object(exports));
  const hint = await didYouMean(name, names, '#');
  const existing = names.length === 0 ? 'it exports nothing by name' : `it exports ${list(names)}`;
  return new StartupError(ExitCode.app, `the app ${file} has no export "${name}": ${existing}${hint}`);
}

function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === 'function') {
    if (isClass(value)) return `the class ${value.name} (export an instance)`;
    return `a function of ${value.length} parameters`;
  }
  if (typeof value !== 'object') return `a ${typeof value}`;
  const keys = Object.keys(value);
  return describeServer(value) ?? (keys.length === 0 ? 'an empty object' : `an object with ${list(keys)}`);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, KEYS_SHOWN).join(', ');
  return names.length > KEYS_SHOWN ? `${shown} and ${names.length - KEYS_SHOWN} more` : shown;
}
