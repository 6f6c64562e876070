// What options have to do with one another and with the model. Each throws a `StartupError` that names the settings
// that do not go together, or returns what they come to.
import { ExitCode, StartupError } from '../errors.js';
import { formatAddress } from './address.js';
import type { Config } from './config.js';
import { oneOf } from './kind.js';
import type { ModelFacts } from './model.js';
import { maxUnits, type Settings } from './options.js';
import { origin, type Source, setting } from './source.js';

type From = Readonly<Record<keyof Settings, Source>>;

/** Port 0 may be there twice: that is two ports. */
export function checkBind(bind: Config['bind'], source: Source): void {
  const seen = new Set<string>();
  for (const address of bind) {
    const text = formatAddress(address);
    if (seen.has(text)) throw wrong(`${setting(source)} has the address ${text} twice; give it once`);
    if (address.kind === 'unix' || address.port !== 0) seen.add(text);
  }
}

/** What `auto` is made from. */
export interface Machine {
  /** Processors that this process may use, also by the limits of its container; at least 1. */
  readonly cores: number;
  /** Bytes of memory that it may use; Infinity where nobody limits it. */
  readonly memory: number;
}

/** So much memory a worker process of `auto` should have, and so much more each further thread of it (bytes). */
const memoryOf = { worker: 128 * 1024 ** 2, thread: 64 * 1024 ** 2 } as const;

type Unit = 'workers' | 'threads';

const limits = {
  workers: ['minWorkers', 'maxWorkers'],
  threads: ['minThreads', 'maxThreads'],
} as const satisfies Record<Unit, readonly [keyof Settings, keyof Settings]>;

/**
 * How many workers, and threads in each. What `auto` comes to is what the model makes of the processors, cut so that no
 * more than `maxUnits` run in all, each of them can have a connection, and they fit into a container's memory.
 */
export function units(settings: Settings, from: From, facts: ModelFacts, { cores, memory }: Machine) {
  const chosen = (unit: Unit): number | undefined => {
    const value = settings[unit];
    return facts[unit] && value !== 'auto' ? value : undefined;
  };
  checkProduct(settings, from, { workers: chosen('workers'), threads: chosen('threads') });
  const auto = (unit: Unit, most: number) => Math.max(1, Math.floor(Math.min(most, facts[unit]?.(cores) ?? 1)));
  const most = Math.min(maxUnits, settings.maxConnections);
  const givenThreads = chosen('threads') ?? 1;
  const fitting = memory / (memoryOf.worker + (givenThreads - 1) * memoryOf.thread);
  const workers = chosen('workers') ?? auto('workers', Math.min(most / givenThreads, fitting));
  const rest = memory / workers - memoryOf.worker;
  const threads = chosen('threads') ?? auto('threads', Math.min(most / workers, 1 + rest / memoryOf.thread));

  const processes = range('workers', workers, settings, from, facts);
  const within = range('threads', threads, settings, from, facts);
  const inAll = processes.max * within.max;
  if (inAll > most) {
    throw wrong(
      `--max-workers (${processes.max}) times --max-threads (${within.max}) is ${inAll} threads; at most ${maxUnits} ` +
        `are allowed, and no more than --max-connections (${settings.maxConnections})`,
    );
  }
  if (settings.spareMax < settings.spareMin) {
    const least = `${setting(from.spareMin)} (${settings.spareMin})`;
    throw wrong(`${setting(from.spareMax)} (${settings.spareMax}) must be at least ${least}`);
  }
  return {
    workers: processes.size,
    minWorkers: processes.min,
    maxWorkers: processes.max,
    threads: within.size,
    minThreads: within.min,
    maxThreads: within.max,
  };
}

/** Between what the number may follow the load. What `auto` came to gives way to it; a number that was given does not. */
function range(unit: Unit, size: number, settings: Settings, from: From, facts: ModelFacts) {
  if (!facts[unit]) return { size, min: size, max: size };
  const [low, high] = limits[unit];
  const min = settings[low] ?? Math.min(size, settings[high] ?? size);
  const max = settings[high] ?? Math.max(size, min);
  if (min > max) throw wrong(`${setting(from[low])} (${min}) must be no more than ${setting(from[high])} (${max})`);
  const allowed = Math.min(max, Math.max(min, size));
  if (settings[unit] !== 'auto' && allowed !== size) {
    throw wrong(`${setting(from[unit])} (${size}) must be from ${min} to ${max}, between which the load may move it`);
  }
  return { size: allowed, min, max };
}

function checkProduct(
  { maxConnections }: Settings,
  from: From,
  chosen: Readonly<Record<Unit, number | undefined>>,
): void {
  const inAll = (chosen.workers ?? 1) * (chosen.threads ?? 1);
  const product = (['workers', 'threads'] as const)
    .flatMap((key) => (chosen[key] === undefined ? [] : [`${setting(from[key])} (${chosen[key]})`]))
    .join(' times ');
  if (inAll > maxUnits) throw wrong(`${product} is ${inAll} threads; at most ${maxUnits} are allowed`);
  if (inAll > maxConnections) {
    const limit = `${setting(from.maxConnections)} (${maxConnections})`;
    throw wrong(`${limit} must be at least ${inAll}, one for each of ${product}`);
  }
}

export function accept({ accept }: Settings, from: From, facts: ModelFacts): Config['accept'] {
  if (facts.accept.length === 0) return undefined;
  if (facts.accept.includes(accept)) return accept;
  throw wrong(`${setting(from.accept)} must be ${oneOf(facts.accept)} with the model ${facts.name}, not '${accept}'`);
}

/** A server that can be found by its pid file can be asked there, too: `app.ctl` for `app.pid`. */
export function controlBeside(pidFile: string | undefined): string | undefined {
  return pidFile === undefined ? undefined : `${pidFile.replace(/\.pid$/, '')}.ctl`;
}

/** Node refuses a header timeout beyond the request timeout. A default gives way; two that the user chose do not. */
export function headerTimeout({ headerTimeout, requestTimeout }: Settings, from: From): number {
  if (requestTimeout === 0 || headerTimeout <= requestTimeout) return headerTimeout;
  if (from.headerTimeout.kind === 'default') return requestTimeout;
  const limit = `the request timeout of ${requestTimeout} ms (${origin(from.requestTimeout)})`;
  throw wrong(`${setting(from.headerTimeout)} must be no longer than ${limit}, not ${headerTimeout} ms`);
}

function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
