// Starts the command `mpserve serve` as a child process, and speaks to it over its control socket.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { absoluteApp } from '../config/app-path.js';
import { didYouMean } from '../config/nearest.js';
import { type Option, optionTable } from '../config/options.js';
import type { UserConfig } from '../config/user-config.js';
import { act, ask, Unreachable } from '../control/client.js';
import type { Action, Query, Request } from '../control/protocol.js';
import { type NotStarted, type Started, type Starter, starterVariable } from '../control/starter.js';
import { models } from '../strategies/models.js';
import { type FailureKind, type ServeOptions, type Server, ServerError } from './server.js';

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));
const table = optionTable(Object.values(models));

export async function start(config: UserConfig, { env = process.env }: ServeOptions): Promise<Server> {
  if (typeof config !== 'object' || config === null) {
    const app = typeof config === 'string' ? JSON.stringify(config) : "'./app.js'";
    throw new ServerError('start', `serve() takes an object, such as { app: ${app} }; this is a ${typeof config}`);
  }
  if (config.daemon) throw new ServerError('start', 'serve() starts no daemon; use the command mpserve --daemon');
  const { app, daemon: _, ...others } = await written(config, 'start');
  const hasControl = config.control !== undefined || config.pidFile !== undefined;
  const folder = hasControl ? undefined : mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  // Every user of the machine can read the arguments of a process.
  const { cacheStore, ...shown } = others;
  const secrets = cacheStore === undefined ? {} : { [table.cacheStore.env]: String(cacheStore) };
  const flags = Object.entries({ ...shown, ...(folder !== undefined && { control: path.join(folder, 'ctl') }) });
  const words = [
    'serve',
    ...(app === undefined ? [] : [absoluteApp(String(app), config.cwd ?? '')]),
    ...flags.flatMap(([key, value]) => asFlags(table[key as keyof typeof table], value)),
    '--no-daemon',
  ];
  const child = spawn(process.execPath, [bin, ...words], {
    env: { ...env, ...secrets, [starterVariable]: 'program' satisfies Starter },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null)); // it could not be spawned
    child.once('close', (code) => resolve(code));
  }).finally(() => folder !== undefined && rmSync(folder, { recursive: true, force: true }));
  const { urls, control = '' } = await untilStarted(child, exited);
  return controls(child, exited, urls, path.resolve(control));
}

/** @throws ServerError */
async function untilStarted(child: ChildProcess, exited: Promise<number | null>): Promise<Started> {
  const message = await Promise.race([
    new Promise<Started | NotStarted>((resolve) => child.once('message', (message) => resolve(message as Started))),
    exited.then((code) => ({ reason: `the server exited with ${code} before it was ready`, exitCode: code ?? 1 })),
  ]);
  if ('urls' in message) return message;
  await exited;
  throw new ServerError('start', message.reason, message.exitCode);
}

function controls(
  child: ChildProcess,
  exited: Promise<number | null>,
  urls: readonly string[],
  control: string,
): Server {
  const query = <T>(name: Query): Promise<T> => ask<T>(control, name).catch(rethrow);
  const perform = async (action: Action, request: Request = {}): Promise<string> => {
    const outcome = await act(control, action, request, () => {}).catch(rethrow);
    if (outcome.ok) return outcome.message;
    throw new ServerError(outcome.refused ? 'refused' : 'failed', outcome.error);
  };
  return {
    pid: child.pid ?? 0,
    url: urls[0] ?? '',
    urls,
    control,
    exited,
    status: () => query('status'),
    workers: () => query('workers'),
    quarantine: () => query('quarantine'),
    clearQuarantine: () => perform('release'),
    reload: () => perform('reload'),
    scale: (workers) => perform('scale', { workers: String(workers) }),
    switch: async (settings) => {
      const options = Object.entries(await written(settings, 'refused')).map(([key, value]) => [key, String(value)]);
      return perform('switch', { options: Object.fromEntries(options) });
    },
    drain: () => perform('drain'),
    purge: (what) => perform('purge', what),
    reopen: () => perform('reopen'),
    stop: async ({ now = false } = {}) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      // While it stops already, or does not answer, a signal does the same.
      await perform('stop', { now }).catch(() => child.kill(now ? 'SIGQUIT' : 'SIGTERM'));
      await exited;
    },
  };
}

/** The settings as flags hold them, without those that are undefined. @throws ServerError for a wrong key or value */
async function written(config: UserConfig, kindOfFailure: FailureKind): Promise<Readonly<Record<string, unknown>>> {
  const options: Readonly<Record<string, Option | undefined>> = table;
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    if (value === undefined) continue;
    const option = Object.hasOwn(options, key) ? options[key] : undefined;
    if (!option) {
      const hint = await didYouMean(key, Object.keys(options));
      throw new ServerError(kindOfFailure, `unknown option '${key}'${hint}`);
    }
    const reading = option.kind.read(value);
    if ('refused' in reading) throw new ServerError(kindOfFailure, `${key} must ${reading.refused}`);
    values[key] = option.kind.write(reading.value);
  }
  return values;
}

function asFlags({ flag, kind }: Option, value: unknown): readonly string[] {
  if (kind.metavar === '') return [value ? `--${flag}` : `--no-${flag}`];
  const values = kind.repeatable ? [value].flat() : [value];
  return values.map((one) => `--${flag}=${asText(one)}`);
}

/** A list has commas between its items, and what has keys is JSON. */
function asText(value: unknown): string {
  const hasKeys = [value].flat().some((one) => typeof one === 'object');
  return hasKeys ? JSON.stringify(value) : String(value);
}

function rethrow(error: unknown): never {
  throw error instanceof Unreachable
    ? new ServerError('unreachable', `the server does not answer: ${error.message}`)
    : error;
}
