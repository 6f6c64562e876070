// What `bench` and `advise` have in common: the rivals as the command line describes them, the requests, and an end
// that leaves no process behind.
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { NothingToCompare } from '../bench/bench.js';
import type { Request } from '../bench/job.js';
import { readRequests } from '../bench/requests.js';
import { mpserve, type Rival } from '../bench/target.js';
import { readValue } from '../config/load.js';
import type { CommandOption } from '../config/options.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Call } from './commands.js';

/** The value of an option of the command, its default, or undefined. @throws StartupError */
export async function optionValue<T>({ values }: Call, option: CommandOption<T>): Promise<T | undefined> {
  const raw = values[option.key];
  return raw === undefined ? option.default : readValue(option.kind, raw, { kind: 'argv', flag: `--${option.flag}` });
}

export interface App {
  /** In words. */
  readonly name: string;
  readonly isDemo: boolean;
  /** What `mpserve serve` is given besides the model. */
  readonly args: readonly string[];
}

/** Settings that a comparison makes itself. */
const own = ['model', 'bind', 'logFile', 'logLevel', 'logFormat', 'gracefulTimeout', 'demoFaults'];

/** Reads the configuration as a server would. @throws StartupError */
export async function readApp(call: Call): Promise<App> {
  const stray = own.find((key) => call.values[key] !== undefined);
  if (stray !== undefined) {
    const flag = call.line.options.find(({ key }) => key === stray)?.flag;
    const instead = stray === 'model' ? 'name the models with --models' : 'leave it out';
    throw wrong(`--${flag} is for serving; a comparison sets it itself, so ${instead}`);
  }
  const { config } = await call.load();
  const given = call.line.options.filter(({ key, positional }) => !positional && call.values[key] !== undefined);
  const args = given.flatMap(({ key, flag }) => asFlags(flag, call.values[key]));
  // Wherever it goes otherwise, here the log is read.
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

export function rivalsOf(models: readonly string[], { args }: App): readonly Rival[] {
  return models.map((model) => mpserve(model, args));
}

interface RequestOptions {
  readonly url: CommandOption<string>;
  readonly method: CommandOption<string>;
  readonly header: CommandOption<readonly (readonly [string, string])[]>;
  readonly body: CommandOption<string>;
  readonly requests: CommandOption<string>;
}

/** What the user wants to be asked; undefined when he has not said. @throws StartupError */
export async function readOwnRequests(call: Call, options: RequestOptions): Promise<readonly Request[] | undefined> {
  const file = await optionValue(call, options.requests);
  const single = [options.url, options.method, options.header, options.body].filter(
    ({ key }) => call.values[key] !== undefined,
  );
  if (file !== undefined) {
    if (single[0]) throw wrong(`--requests and --${single[0].flag} exclude each other; the file says it all`);
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

/** Better known before an hour of measuring than after it. @throws StartupError */
export function checkWritable(flag: string, file: string | undefined): void {
  if (file === undefined) return;
  try {
    accessSync(existsSync(file) ? file : path.dirname(path.resolve(file)), constants.W_OK);
  } catch (error) {
    throw new StartupError(ExitCode.boot, `cannot write ${file} (from --${flag}): ${(error as Error).message}`);
  }
}

/** Runs `work` until it is done, or Ctrl-C or SIGTERM aborts its signal. What cannot be compared is a failed start. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('it was stopped'));
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (error instanceof NothingToCompare) throw asStartupError(error);
    throw error;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function asStartupError({ checked }: NothingToCompare): StartupError {
  const reasons = new Set(checked.map(({ failure }) => failure));
  const all = [...checked.map(({ rival, failure }) => `${rival.name}: ${failure}`)].join('; ');
  return new StartupError(ExitCode.app, `no model can be measured: ${reasons.size === 1 ? [...reasons][0] : all}`);
}

export function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

export function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
