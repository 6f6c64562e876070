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

/**
 * What `auto` comes to: what the model makes of the processors, cut so that no more than `maxUnits` run in all, and
 * each of them can have a connection.
 */
export function units(settings: Settings, from: From, facts: ModelFacts, cores: number) {
  const { workers, threads, maxConnections } = settings;
  const auto = (make: ((cores: number) => number) | undefined, most: number) =>
    Math.max(1, Math.min(most, make?.(cores) ?? 1));
  const chosen = {
    workers: facts.workers && workers !== 'auto' ? workers : undefined,
    threads: facts.threads && threads !== 'auto' ? threads : undefined,
  };
  const inAll = (chosen.workers ?? 1) * (chosen.threads ?? 1);
  const product = (['workers', 'threads'] as const)
    .flatMap((key) => (chosen[key] === undefined ? [] : [`${setting(from[key])} (${chosen[key]})`]))
    .join(' times ');
  if (inAll > maxUnits) throw wrong(`${product} is ${inAll} threads; at most ${maxUnits} are allowed`);
  if (inAll > maxConnections) {
    const limit = `${setting(from.maxConnections)} (${maxConnections})`;
    throw wrong(`${limit} must be at least ${inAll}, one for each of ${product}`);
  }
  const most = Math.min(maxUnits, maxConnections);
  const processes = chosen.workers ?? auto(facts.workers, Math.floor(most / (chosen.threads ?? 1)));
  return { workers: processes, threads: chosen.threads ?? auto(facts.threads, Math.floor(most / processes)) };
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
