// Resolves options that depend on each other or on the model. Each function returns the resolved values, or throws a
// `StartupError` that names the settings that conflict.
import { accessSync, constants, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { configError } from '../errors.js';
import { madeCodings } from '../http/coding-name.js';
import { locateApp } from './app-path.js';
import { isCacheShared, type Values } from './config.js';
import { oneOf } from './kind.js';
import type { ModelFacts } from './model.js';
import { maxUnits, type OptionTable, type Settings } from './options.js';
import { origin, type Source, setting } from './source.js';

type From = Readonly<Record<keyof Settings, Source>>;

/** The resources from which `auto` is derived. */
export interface Machine {
  /** Processors that this process may use, within the limits of its container; at least 1. */
  readonly cores: number;
  /** Bytes of memory that this process may use; Infinity without a limit. */
  readonly memory: number;
}

/** Bytes of memory that `auto` plans for a worker process with one thread, and for each further thread. */
const plannedMemory = { worker: 128 * 1024 ** 2, thread: 64 * 1024 ** 2 } as const;

/** How many workers there are, and threads in each, and the numbers between which the load decides. */
export type PoolSizes = ReturnType<typeof resolvePoolSize>;

type Unit = 'workers' | 'threads';

const limits = {
  workers: ['minWorkers', 'maxWorkers'],
  threads: ['minThreads', 'maxThreads'],
} as const satisfies Record<Unit, readonly [keyof Settings, keyof Settings]>;

/**
 * Resolves the number of workers and of threads in each. `auto` is the number that the model derives from the
 * processors, reduced so that the total is at most `maxUnits`, each thread can have a connection, and all fit into the
 * memory of the container.
 */
export function resolvePoolSize(settings: Settings, from: From, facts: ModelFacts, { cores, memory }: Machine) {
  const given = (unit: Unit): number | undefined => {
    const value = settings[unit];
    return facts[unit] && value !== 'auto' ? value : undefined;
  };
  checkProduct(settings, from, { workers: given('workers'), threads: given('threads') });
  const auto = (unit: Unit, limit: number) => Math.max(1, Math.floor(Math.min(limit, facts[unit]?.(cores) ?? 1)));
  const maxTotal = Math.min(maxUnits, settings.maxConnections);
  const givenThreads = given('threads') ?? 1;
  const fitting = memory / (plannedMemory.worker + (givenThreads - 1) * plannedMemory.thread);
  const workersAtFirst = given('workers') ?? auto('workers', Math.min(maxTotal / givenThreads, fitting));
  const rest = 1 + (memory / workersAtFirst - plannedMemory.worker) / plannedMemory.thread;
  const threadsAtFirst = given('threads') ?? auto('threads', Math.min(maxTotal / workersAtFirst, rest));

  const [workers, minWorkers, maxWorkers] = range('workers', workersAtFirst, settings, from, facts);
  const [threads, minThreads, maxThreads] = range('threads', threadsAtFirst, settings, from, facts);
  const total = maxWorkers * maxThreads;
  if (total > maxTotal) {
    throw configError(
      `--max-workers (${maxWorkers}) times --max-threads (${maxThreads}) is ${total} threads; at most ${maxUnits} ` +
        `are allowed, and no more than --max-connections (${settings.maxConnections})`,
    );
  }
  const scales = facts.workers || facts.threads;
  if (scales && settings.spareMax < settings.spareMin) {
    const named = (key: 'spareMin' | 'spareMax', flag: string): string =>
      from[key].kind === 'default'
        ? `${flag} (${settings[key]} by default)`
        : `${setting(from[key])} (${settings[key]})`;
    throw configError(`${named('spareMax', '--spare-max')} must be at least ${named('spareMin', '--spare-min')}`);
  }
  return { workers, minWorkers, maxWorkers, threads, minThreads, maxThreads };
}

/**
 * The number, and the range in which it scales with the load. `auto` is moved into the range; a number that the user gave must
 * be in it.
 */
function range(
  unit: Unit,
  size: number,
  settings: Settings,
  from: From,
  facts: ModelFacts,
): readonly [size: number, min: number, max: number] {
  if (!facts[unit]) return [size, size, size];
  const [low, high] = limits[unit];
  const min = settings[low] ?? Math.min(size, settings[high] ?? size);
  const max = settings[high] ?? Math.max(size, min);
  if (min > max)
    throw configError(`${setting(from[low])} (${min}) must be no more than ${setting(from[high])} (${max})`);
  const allowed = Math.min(max, Math.max(min, size));
  if (settings[unit] !== 'auto' && allowed !== size) {
    throw configError(`${setting(from[unit])} (${size}) must be from ${min} to ${max}, the range in which it scales`);
  }
  return [allowed, min, max];
}

function checkProduct(
  { maxConnections }: Settings,
  from: From,
  given: Readonly<Record<Unit, number | undefined>>,
): void {
  const total = (given.workers ?? 1) * (given.threads ?? 1);
  const product = (['workers', 'threads'] as const)
    .flatMap((key) => (given[key] === undefined ? [] : [`${setting(from[key])} (${given[key]})`]))
    .join(' times ');
  if (total > maxUnits) throw configError(`${product} is ${total} threads; at most ${maxUnits} are allowed`);
  if (total > maxConnections) {
    const limit = `${setting(from.maxConnections)} (${maxConnections})`;
    throw configError(`${limit} must be at least ${total}, one for each of ${product}`);
  }
}

export function resolveAccept({ accept }: Settings, from: From, facts: ModelFacts): Values['accept'] {
  if (facts.accept.length === 0) return undefined;
  if (accept === 'reuseport' && process.platform !== 'linux')
    throw configError(`${setting(from.accept)} reuseport needs Linux, whose kernel divides clients among queues`);
  if (facts.accept.includes(accept)) return accept;
  throw configError(
    `${setting(from.accept)} must be ${oneOf(facts.accept)} with the model ${facts.name}, not '${accept}'`,
  );
}

/**
 * Where connections are not handed over, a policy may not be chosen. Where they are, `weighted` needs a weight for each
 * worker or thread.
 * @param accept resolved
 * @returns a warning if the policy of an operator has no effect: it has again when connections are handed over
 */
export function checkBalance(
  settings: Settings,
  from: From,
  facts: ModelFacts,
  { accept, unit, maxWorkers, maxThreads }: Pick<Values, 'accept' | 'unit' | 'maxWorkers' | 'maxThreads'>,
  table: OptionTable,
): readonly string[] {
  const { balance, weights } = settings;
  if (!facts.balances) return []; // it does nothing in this model, of which `load.ts` warns
  if (unit === 'request' && from.unit.kind === 'operator') return []; // as with --accept
  if (unit === 'request' || !facts.balances(accept)) {
    const chosen = (['balance', 'weights'] as const).find((key) => isChosen(key, settings, from, table));
    if (!chosen) return [];
    const given = from[chosen];
    if (unit === 'request' && given.kind !== 'operator')
      throw configError(
        `${setting(given)} needs --unit connection: with --unit request the thread that has been free for longest gets the next request`,
      );
    if (given.kind === 'operator') return [`${setting(given)} does nothing without --accept dispatch`];
    throw configError(`${setting(given)} needs --accept dispatch: without it each worker accepts by itself`);
  }
  if (balance === 'weighted' && weights.length === 0)
    throw configError(`${setting(from.balance)} weighted needs --weights, as in --weights 3,1`);
  if (from.balance.kind === 'default' && weights.length > 0)
    throw configError(`${setting(from.weights)} needs --balance weighted`);
  if (balance !== 'weighted') return [];
  const [count, words] = facts.threads ? [maxThreads, 'threads'] : [maxWorkers, 'workers'];
  if (weights.length !== count)
    throw configError(
      `${setting(from.weights)} has ${weights.length} weights for ${count} ${words}; give one for each`,
    );
  return [];
}

/**
 * With --unit request the process of the threads has the connections, and a queue of its own for requests.
 * @param accept resolved
 */
export function resolveUnit(
  settings: Settings,
  from: From,
  facts: ModelFacts,
  { accept }: Pick<Values, 'accept'>,
  table: OptionTable,
): Settings['unit'] {
  const { unit, maxInflight } = settings;
  // An operator who switches to another model and back leaves it as it is.
  const isOfOther = !facts.units && from.model.kind === 'operator' && from.unit.kind !== 'operator';
  if (unit === 'connection' || isOfOther) {
    for (const key of ['tasksPerThread', 'retrySafe'] as const) {
      // An operator who switches to this unit leaves what is for the other one.
      if (facts.units && from.unit.kind !== 'operator' && isChosen(key, settings, from, table))
        throw configError(`${setting(from[key])} needs --unit request: otherwise a thread serves whole connections`);
    }
    return 'connection';
  }
  if (!facts.units)
    throw configError(
      `${setting(from.unit)} request needs --model prethread or hybrid: the model ${facts.name} has no pool of threads`,
    );
  // An operator who switches to this unit and back leaves it as it is.
  const isLeft = from.unit.kind === 'operator' && from.accept.kind !== 'operator';
  if (accept !== facts.accept[0] && !isLeft)
    throw configError(
      `${setting(from.accept)} ${accept} needs --unit connection: with --unit request the process of the threads accepts`,
    );
  if (maxInflight > 0)
    throw configError(
      `${setting(from.maxInflight)} needs --unit connection: with --unit request as many requests are in the app as --threads times --tasks-per-thread`,
    );
  return unit;
}

/** One host has to place all connections, or a process gives each request to one of its threads. @param accept resolved */
export function checkSticky(
  { sticky }: Settings,
  from: From,
  facts: ModelFacts,
  { accept, unit }: Pick<Values, 'accept' | 'unit'>,
): void {
  if (!sticky || unit === 'request' || facts.keepsSessions?.(accept)) return;
  const needed = '--unit request, or --accept dispatch with --model prefork or prethread';
  const reason = facts.keepsSessions
    ? 'without it each worker accepts by itself'
    : facts.accept.length === 0
      ? `the model ${facts.name} starts a worker for each connection`
      : `the model ${facts.name} has several processes that accept by themselves`;
  throw configError(`${setting(from.sticky)} needs ${needed}: ${reason}`);
}

/** Any peer could claim any address otherwise. */
export function checkProxyProtocol(settings: Settings, from: From, table: OptionTable): void {
  const { proxyProtocol, trustProxy } = settings;
  if (proxyProtocol && trustProxy.length === 0)
    throw configError(
      `${setting(from.proxyProtocol)} needs --trust-proxy, as in --trust-proxy loopback: which proxies may name a client`,
    );
  if (!proxyProtocol && isChosen('proxyToApp', settings, from, table))
    throw configError(`${setting(from.proxyToApp)} needs --proxy-protocol: it shows the client of that to the app`);
}

/** Otherwise every client could read it. */
export function checkAdmin({ admin, adminTokenFile }: Settings, from: From): void {
  if (admin === undefined && adminTokenFile !== undefined)
    throw configError(`${setting(from.adminTokenFile)} needs --admin, as in --admin 9090`);
  if (admin?.kind !== 'tcp' || adminTokenFile !== undefined || isLoopback(admin.host)) return;
  throw configError(
    `${setting(from.admin)} would show the server to other machines: give --admin-token-file as well, or listen on 127.0.0.1`,
  );
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** A configuration file may list options with their defaults. */
function isChosen(key: keyof Settings, settings: Settings, from: From, table: OptionTable): boolean {
  const { kind } = from[key];
  return kind !== 'default' && !(kind === 'file' && settings[key] === table[key].default);
}

const overloadOptions = ['queueMax', 'queueTimeout', 'shed', 'priorityPath'] as const;

/** Without --max-inflight, and with a thread for each connection, no request waits. */
export function checkOverload(settings: Settings, from: From, table: OptionTable): void {
  if (settings.maxInflight > 0 || settings.unit === 'request' || from.unit.kind === 'operator') return;
  for (const key of overloadOptions) {
    if (!isChosen(key, settings, from, table)) continue;
    throw configError(
      `${setting(from[key])} needs --max-inflight, as in --max-inflight 100: how many requests the app handles at the same time (or --unit request)`,
    );
  }
}

/**
 * A directory that is missing now would be one for each request.
 * @returns warnings
 */
export function checkStatic(values: Values, from: From, cwd: string): readonly string[] {
  for (const { path: at, dir } of values.static) {
    const named = `${setting(from.static)} names a directory for ${at} that`;
    let isDirectory: boolean | undefined;
    try {
      isDirectory = statSync(dir, { throwIfNoEntry: false })?.isDirectory();
      if (isDirectory) accessSync(dir, constants.R_OK | constants.X_OK);
    } catch (error) {
      throw configError(`${named} cannot be read: ${(error as Error).message}`);
    }
    if (isDirectory === undefined) throw configError(`${named} does not exist: '${dir}'`);
    if (!isDirectory) throw configError(`${named} is a file: '${dir}'`);
  }
  const servesDirectory = values.app !== undefined && locateApp(values.app, cwd)?.isDirectory === true;
  const root = values.static.find((mount) => mount.path === '/');
  if (servesDirectory && root) {
    const both = `the paths / (${root.dir}) and / (${values.app}, the app)`;
    throw configError(`${setting(from.static)} must have paths that do not overlap; ${both} do`);
  }
  if (servesDirectory) return [];
  return (['spa', 'listing'] as const)
    .filter((key) => values[key])
    .map((key) => `${setting(from[key])} does nothing unless the app is a directory; see --static for others`);
}

const cacheOptions = ['cacheStore', 'cacheTtl', 'cacheSetCookie', 'cacheBypass', 'cacheBypassCookie'] as const;

/** For an event loop: less has no room for what a request leaves. */
const minCachePart = 64 * 1024;

/** For all event loops together: less has no room beside the tables, and more does not fit into one buffer in each version of Node. */
const [minSharedCache, maxSharedCache] = [1024 ** 2, 4 * 1024 ** 3];

/** @param loops how many have a cache, which have the memory of it together */
export function checkCache(settings: Settings, from: From, table: OptionTable, loops: number, machine: Machine): void {
  const { cache } = settings;
  if (cache === 0) {
    const key = cacheOptions.find((key) => isChosen(key, settings, from, table));
    if (key) throw configError(`${setting(from[key])} needs --cache, as in --cache 64M: the memory for responses`);
    return;
  }
  const memory = Math.min(machine.memory, totalmem());
  const write = (bytes: number) => table.cache.kind.write(bytes);
  if (cache > memory)
    throw configError(`${setting(from.cache)} (${write(cache)}) is more than the ${write(memory)} of memory there is`);
  if (isCacheShared(settings)) {
    if (cache < minSharedCache || cache > maxSharedCache) {
      const [min, max] = [minSharedCache, maxSharedCache].map(write);
      throw configError(
        `${setting(from.cache)} must be from ${min} to ${max} with --cache-store shared, not ${write(cache)}`,
      );
    }
    return;
  }
  if (cache / loops < minCachePart)
    throw configError(
      `${setting(from.cache)} (${write(cache)}) is too little for ${loops} workers and threads, which have a part each; give ${write(loops * minCachePart)} or more`,
    );
}

/** @returns warnings */
export function checkCompress(values: Values, from: From, cwd: string): readonly string[] {
  const { compress, app } = values;
  if (compress.length === 0) return [];
  const named = setting(from.compress);
  const isDirectory = app !== undefined && locateApp(app, cwd)?.isDirectory === true;
  if (isDirectory) return [`${named} does nothing when the app is a directory: its files are compressed without it`];
  return compress
    .filter((coding) => !madeCodings.includes(coding))
    .map((coding) => `${named} names ${coding}, which Node ${process.version} cannot make (22.15 and 23.8 can)`);
}

/** The default log of a daemon, which has no standard output: `app.log` for `app.pid`, or `mpserve.log`. */
export function defaultLogFile({ daemon, pidFile }: Settings, directory: string): string | undefined {
  if (!daemon) return undefined;
  return pidFile === undefined ? path.join(directory, 'mpserve.log') : beside(pidFile, '.log');
}

/** @throws StartupError if --cwd does not name a directory */
export function checkDirectory({ cwd }: Settings, from: From): void {
  if (cwd === undefined || statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) return;
  throw configError(`${setting(from.cwd)} names no directory: '${path.resolve(cwd)}'`);
}

/** @throws StartupError if a daemon should write access lines to standard output */
export function checkDaemonOutput({ daemon, accessLog }: Settings, from: From): void {
  if (!daemon || accessLog !== '-') return;
  throw configError(
    `${setting(from.accessLog)} must name a file with ${setting(from.daemon)}, not '-', standard output`,
  );
}

/** @param logFile with the default of a daemon. @returns warnings. @throws StartupError if there is nothing to rotate */
export function checkRotation(
  { logRotate, logKeep, logCompress, accessLog }: Settings,
  logFile: string | undefined,
  from: From,
  table: OptionTable,
): readonly string[] {
  if (logRotate === undefined) {
    const isGiven = { logKeep: logKeep !== table.logKeep.default, logCompress };
    return (['logKeep', 'logCompress'] as const)
      .filter((key) => isGiven[key])
      .map((key) => `${setting(from[key])} does nothing without --log-rotate, as in --log-rotate 100M or daily`);
  }
  const isFile = (name: string | undefined) => name !== undefined && name !== '-' && name !== '/dev/stdout';
  if (isFile(logFile) || isFile(accessLog)) return [];
  throw configError(
    `${setting(from.logRotate)} needs a file to rotate: name one with --log-file or --access-log; ` +
      'standard output is rotated by what reads it',
  );
}

/** Without a path of its own, the control socket is beside the pid file. */
export function resolveControl(
  { control, pidFile }: Pick<Settings, 'control' | 'pidFile'>,
  from: Pick<From, 'control' | 'pidFile'>,
): { readonly control: string | undefined; readonly source: Source } {
  if (control !== undefined || pidFile === undefined) return { control, source: from.control };
  return { control: beside(pidFile, '.ctl'), source: from.pidFile };
}

/** The file beside the pid file: `app.ctl` for `app.pid`. */
function beside(pidFile: string, extension: string): string {
  return `${pidFile.replace(/\.pid$/, '')}${extension}`;
}

/**
 * Node refuses a header timeout that is longer than the request timeout. A default is shortened; a value that the user
 * gave is an error.
 */
export function resolveHeaderTimeout({ headerTimeout, requestTimeout }: Settings, from: From): number {
  if (requestTimeout === 0 || headerTimeout <= requestTimeout) return headerTimeout;
  if (from.headerTimeout.kind === 'default') return requestTimeout;
  const limit = `the request timeout of ${requestTimeout} ms (${origin(from.requestTimeout)})`;
  throw configError(`${setting(from.headerTimeout)} must be no longer than ${limit}, not ${headerTimeout} ms`);
}

/** A default that is longer than the drain is shortened; a value that the user gave is an error. */
export function resolveWsDrain({ wsDrain, gracefulTimeout }: Settings, from: From): number {
  if (wsDrain <= gracefulTimeout) return wsDrain;
  if (from.wsDrain.kind === 'default') return gracefulTimeout;
  const limit = `the graceful timeout of ${gracefulTimeout} ms (${origin(from.gracefulTimeout)})`;
  throw configError(`${setting(from.wsDrain)} must be no longer than ${limit}, not ${wsDrain} ms`);
}
