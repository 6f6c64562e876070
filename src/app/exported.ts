// Which of a module's exports is the app, and what to say when none is. Knows nothing of how it was loaded.
import { ExitCode, StartupError } from '../errors.js';
import type { App } from './app.js';
import { describeServer } from './capture.js';
import { ACCEPTED, isClass, recognise } from './kinds.js';

/** The exports that may be the app when there is no default export, best first. */
const NAMES = ['app', 'server', 'handler', 'fetch'];
const KEYS_SHOWN = 8;

type Exports = Record<string, unknown>;

export interface Exported {
  readonly app: App;
  /** What was exported: an Express app, an `http.Server`, … */
  readonly value: unknown;
}

/** The export called `name`. Throws a `StartupError` when there is none or when it serves nothing. */
export async function namedApp(exports: unknown, name: string, file: string): Promise<Exported> {
  const scope = [exports, defaultOf(exports)].find((value) => name in Object(value)) as Exports | undefined;
  if (scope === undefined) throw await noSuchExport(exports, name, file);
  const found = await usable(asNamed(name, scope[name]), file);
  if (found !== undefined) return found;
  throw new StartupError(ExitCode.app, `the app ${file}#${name} is ${describe(scope[name])}; accepted is ${ACCEPTED}`);
}

/** undefined: none of the exports is an app. */
export async function exportedApp(exports: unknown, file: string): Promise<Exported | undefined> {
  const whole = isNamespace(exports) ? [] : [exports];
  const named = NAMES.map((name) => asNamed(name, Object(exports)[name]));
  for (const value of [...whole, defaultOf(exports), ...named]) {
    const found = await usable(value, file);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** For "exports …": what a module that exports no app exports instead. */
export function describeExports(exports: unknown): string {
  const names = Object.keys(Object(exports));
  if (!isNamespace(exports)) return describe(exports);
  const found = defaultOf(exports);
  if (names.length === 0) return 'nothing';
  return found === undefined ? `only ${list(names)}` : `${describe(found)} as its default`;
}

/** A function called `fetch` is a fetch function, whatever the number of its parameters. */
function asNamed(name: string, value: unknown): unknown {
  return name === 'fetch' && typeof value === 'function' ? { fetch: value } : value;
}

/** An export may be the promise of an app. A Fastify instance is a thenable, too, so that is looked at second. */
async function usable(value: unknown, file: string): Promise<Exported | undefined> {
  const app = await recognise(value, file);
  if (app !== undefined) return { app, value };
  return value instanceof Promise ? usable(await value, file) : undefined;
}

/** An ES module, or CommonJS that was compiled from one. */
function isNamespace(exports: unknown): boolean {
  const object = Object(exports);
  return object[Symbol.toStringTag] === 'Module' || object.__esModule === true;
}

function defaultOf(exports: unknown): unknown {
  return Object(exports).default;
}

async function noSuchExport(exports: unknown, name: string, file: string): Promise<StartupError> {
  const names = Object.keys(Object(exports));
  const { closestMatch } = (await import('leven')) as { closestMatch: Closest };
  const near = closestMatch(name, names, { maxDistance: Math.ceil(name.length / 3) });
  const meant = near === undefined ? '' : `; did you mean #${near}?`;
  const existing = names.length === 0 ? 'it exports nothing by name' : `it exports ${list(names)}`;
  return new StartupError(ExitCode.app, `the app ${file} has no export "${name}": ${existing}${meant}`);
}
type Closest = (target: string, names: readonly string[], options: { maxDistance: number }) => string | undefined;

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
