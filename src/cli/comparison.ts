// Shared by `bench`, `advise` and `prove`: reads the app, the targets and the requests from the command line, and handles
// interruption.
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { NoUsableTarget } from '../bench/bench.js';
import type { Request } from '../bench/job.js';
import { readRequests } from '../bench/requests.js';
import { mpserve, type Target } from '../bench/target.js';
import type { adviseTable } from '../config/bench-options.js';
import { oneOf } from '../config/kind.js';
import type { UnitOfWork } from '../config/model.js';
import { didYouMean } from '../config/nearest.js';
import type { CommandValues } from '../config/options.js';
import type { Variant } from '../config/variant.js';
import { configError, ExitCode, StartupError } from '../errors.js';
import { ProgressLine } from '../testbed/progress.js';
import type { Call } from './call.js';

/** @param must begins the message. @throws StartupError for a name that is not known */
export async function checkNames(must: string, names: readonly string[], known: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw configError(`${must} ${oneOf(known, 'and')}, not '${unknown}'${await didYouMean(unknown, known)}`);
}

export interface App {
  /** For display: the path, or `the built-in demo app`. */
  readonly name: string;
  readonly isDemo: boolean;
  /** As it is configured. */
  readonly unit: UnitOfWork;
  /** The arguments of `mpserve serve` besides the model. */
  readonly args: readonly string[];
}

/** Options that a comparison sets itself. */
const reserved = [
  ...['model', 'unit', 'bind', 'port', 'host', 'daemon', 'control', 'pidFile', 'gracefulTimeout', 'demoFaults'],
  ...['logFile', 'logLevel', 'logFormat', 'logRotate', 'logKeep', 'logCompress'],
];

/** Reads the configuration as `mpserve serve` does. @throws StartupError */
export async function readApp(call: Call): Promise<App> {
  const conflicting = reserved.find((key) => call.values[key] !== undefined);
  if (conflicting !== undefined) {
    const flag = call.line.options.find(({ key }) => key === conflicting)?.flag;
    const instead = ['model', 'unit'].includes(conflicting) ? 'use --models' : 'leave it out';
    throw configError(`--${flag} is not allowed here, because a comparison sets it itself; ${instead}`);
  }
  const { config } = await call.load();
  const given = call.line.options.filter(({ key, positional }) => !positional && call.values[key] !== undefined);
  const args = given.flatMap(({ key, flag }) => asFlags(flag, call.values[key]));
  // The ready event is read from stdout, whatever the configuration file says about the log.
  if (config.logging.logFile !== undefined) args.push('--log-file', '/dev/stdout');
  if (config.logging.logRotate !== undefined) args.push('--log-rotate', 'off');
  if (config.logging.accessLog === '-') args.push('--access-log', 'off');
  const { app } = config.loading;
  const { unit } = config.pool;
  if (app === undefined) return { name: 'the built-in demo app', isDemo: true, unit, args: [...args, '--demo-faults'] };
  return { name: app, isDemo: false, unit, args: [app, ...args] };
}

function asFlags(flag: string, value: unknown): string[] {
  if (typeof value === 'boolean') return [value ? `--${flag}` : `--no-${flag}`];
  return [value].flat().map((one) => `--${flag}=${one}`);
}

export function targetsFor(variants: readonly Variant[], { args, unit }: App): readonly Target[] {
  return variants.map((one) => mpserve(one, one.unit === unit ? args : ['--unit', one.unit, ...args]));
}

/** What is requested if the user does not say. */
export const rootRequest: Request = { path: '/', method: 'GET', headers: {} };

/** The requests of `--requests` or of `--url` and its companions; undefined if none is given. @throws StartupError */
export function readOwnRequests(
  values: Pick<CommandValues<typeof adviseTable>, 'requests' | 'url' | 'method' | 'header' | 'body'>,
): readonly Request[] | undefined {
  const { requests, url, method, header, body } = values;
  const given = Object.entries({ url, method, header, body }).find(([, value]) => value !== undefined);
  if (requests !== undefined) {
    if (given) throw configError(`--requests and --${given[0]} exclude each other; leave --${given[0]} out`);
    return readRequests(requests);
  }
  if (!given) return undefined;
  return [
    {
      path: url ?? '/',
      method: method ?? 'GET',
      headers: Object.fromEntries(header ?? []),
      ...(body !== undefined && { body }),
    },
  ];
}

/** Called before measuring, so that an unwritable file does not lose the results of an hour. @throws StartupError */
export function checkWritable(flag: string, file: string | undefined): void {
  if (file === undefined) return;
  try {
    const exists = existsSync(file);
    accessSync(exists ? file : path.dirname(path.resolve(file)), constants.W_OK);
    if (exists && statSync(file).isDirectory()) throw new Error('it is a directory');
  } catch (error) {
    throw new StartupError(ExitCode.boot, `cannot write ${file} (from --${flag}): ${(error as Error).message}`);
  }
}

/**
 * Runs `work`, which shows its progress in a line on the terminal; SIGINT or SIGTERM aborts its signal.
 * @throws StartupError when no model can be measured
 */
export async function interruptible<T>(
  work: (watch: { readonly signal: AbortSignal; readonly onProgress: ProgressLine['show'] }) => Promise<T>,
): Promise<T> {
  const line = new ProgressLine();
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('interrupted'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work({ signal: controller.signal, onProgress: (progress) => line.show(progress) });
  } catch (error) {
    if (!(error instanceof NoUsableTarget)) throw error;
    const failures = new Set(error.contenders.map(({ failure }) => failure));
    const reason = failures.size === 1 ? [...failures][0] : error.message;
    throw new StartupError(ExitCode.app, `no model can be measured: ${reason}`);
  } finally {
    line.clear();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

export function writeJson(file: string, results: unknown): void {
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
}
