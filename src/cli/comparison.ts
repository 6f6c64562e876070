// Shared by `bench`, `advise` and `prove`: reads the app, the targets and the requests from the command line, and handles
// interruption.
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { NoUsableTarget } from '../bench/bench.js';
import type { Request } from '../bench/job.js';
import { readRequests } from '../bench/requests.js';
import { mpserve, type Target } from '../bench/target.js';
import { readValue } from '../config/load.js';
import type { CommandOption } from '../config/options.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Call } from './call.js';

/** The value of an option of the command, its default, or undefined. @throws StartupError */
export async function optionValue<T>({ values }: Call, option: CommandOption<T>): Promise<T | undefined> {
  const raw = values[option.key];
  return raw === undefined ? option.default : readValue(option.kind, raw, { kind: 'argv', flag: `--${option.flag}` });
}

export interface App {
  /** For display: the path, or `the built-in demo app`. */
  readonly name: string;
  readonly isDemo: boolean;
  /** The arguments of `mpserve serve` besides the model. */
  readonly args: readonly string[];
}

/** Options that a comparison sets itself. */
const reserved = ['model', 'bind', 'logFile', 'logLevel', 'logFormat', 'gracefulTimeout', 'demoFaults'];

/** Reads the configuration as `mpserve serve` does. @throws StartupError */
export async function readApp(call: Call): Promise<App> {
  const conflicting = reserved.find((key) => call.values[key] !== undefined);
  if (conflicting !== undefined) {
    const flag = call.line.options.find(({ key }) => key === conflicting)?.flag;
    const instead = conflicting === 'model' ? 'use --models' : 'leave it out';
    throw wrong(`--${flag} is not allowed here, because a comparison sets it itself; ${instead}`);
  }
  const { config } = await call.load();
  const given = call.line.options.filter(({ key, positional }) => !positional && call.values[key] !== undefined);
  const args = given.flatMap(({ key, flag }) => asFlags(flag, call.values[key]));
  // The ready event is read from stdout, whatever the configuration file says about the log.
  if (config.logFile !== undefined) args.push('--log-file', '/dev/stdout');
  if (config.accessLog === '-') args.push('--access-log', 'off');
  if (config.app === undefined)
    return { name: 'the built-in demo app', isDemo: true, args: [...args, '--demo-faults'] };
  return { name: config.app, isDemo: false, args: [config.app, ...args] };
}

function asFlags(flag: string, value: unknown): string[] {
  if (typeof value === 'boolean') return [value ? `--${flag}` : `--no-${flag}`];
  return [value].flat().map((one) => `--${flag}=${one}`);
}

export function targetsFor(models: readonly string[], { args }: App): readonly Target[] {
  return models.map((model) => mpserve(model, args));
}

interface RequestOptions {
  readonly url: CommandOption<string>;
  readonly method: CommandOption<string>;
  readonly header: CommandOption<readonly (readonly [string, string])[]>;
  readonly body: CommandOption<string>;
  readonly requests: CommandOption<string>;
}

/** The requests of `--requests` or of `--url` and its companions; undefined if none is given. @throws StartupError */
export async function readOwnRequests(call: Call, options: RequestOptions): Promise<readonly Request[] | undefined> {
  const file = await optionValue(call, options.requests);
  const single = [options.url, options.method, options.header, options.body].filter(
    ({ key }) => call.values[key] !== undefined,
  );
  if (file !== undefined) {
    if (single[0]) throw wrong(`--requests and --${single[0].flag} exclude each other; leave --${single[0].flag} out`);
    return readRequests(file);
  }
  if (single.length === 0) return undefined;
  const body = await optionValue(call, options.body);
  return [
    {
      path: (await optionValue(call, options.url)) ?? '/',
      method: (await optionValue(call, options.method)) ?? 'GET',
      headers: Object.fromEntries((await optionValue(call, options.header)) ?? []),
      ...(body === undefined ? {} : { body }),
    },
  ];
}

/** Called before measuring, so that an unwritable file does not lose the results of an hour. @throws StartupError */
export function checkWritable(flag: string, file: string | undefined): void {
  if (file === undefined) return;
  try {
    accessSync(existsSync(file) ? file : path.dirname(path.resolve(file)), constants.W_OK);
  } catch (error) {
    throw new StartupError(ExitCode.boot, `cannot write ${file} (from --${flag}): ${(error as Error).message}`);
  }
}

/** Runs `work`; SIGINT or SIGTERM aborts its signal. @throws StartupError when no model can be measured */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('interrupted'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (error instanceof NoUsableTarget) throw asStartupError(error);
    throw error;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function asStartupError({ checked }: NoUsableTarget): StartupError {
  const reasons = new Set(checked.map(({ failure }) => failure));
  const all = [...checked.map(({ target, failure }) => `${target.name}: ${failure}`)].join('; ');
  return new StartupError(ExitCode.app, `no model can be measured: ${reasons.size === 1 ? [...reasons][0] : all}`);
}

export function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

export function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
