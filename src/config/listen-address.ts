// Decides where to listen: on the addresses of --bind, or on --port and --host, whichever the user has set with higher
// precedence. The variable PORT is only a default.
import { configError } from '../errors.js';
import { type Address, formatAddress } from './address.js';
import type { Settings } from './options.js';
import { type Source, setting } from './source.js';

/** The highest precedence first. */
const precedence: readonly Source['kind'][] = ['operator', 'argv', 'env', 'file'];
const everyAddress = '0.0.0.0';

type Sources = ReadonlyMap<string, { readonly source: Source }>;

/**
 * @param given the settings that the user has given, by key
 * @returns the keys of `bind`, `port` and `host` that another of them overrides
 * @throws StartupError if two that exclude each other have the same precedence
 */
export function overriddenAddresses(given: Sources): readonly ('bind' | 'port' | 'host')[] {
  const bind = given.get('bind')?.source;
  if (!bind) return [];
  const rank = ({ kind }: Source): number => precedence.indexOf(kind);
  const [other] = [given.get('port')?.source, given.get('host')?.source]
    .filter((source) => source !== undefined)
    .filter((source) => !isVariable(source))
    .sort((a, b) => rank(a) - rank(b));
  if (!other || rank(other) > rank(bind)) return ['port', 'host'];
  if (rank(other) < rank(bind)) return ['bind'];
  throw configError(`${setting(other)} and ${setting(bind)} both say where to listen; remove one of them`);
}

/** @throws StartupError for an address that is given twice. Port 0 may repeat: each one gets a port of its own */
export function resolveAddresses(
  { bind, port, host }: Settings,
  from: Readonly<Record<'bind' | 'port' | 'host', Source>>,
): { readonly bind: Settings['bind']; readonly source: Source } {
  if (port === undefined && host === undefined) {
    checkDuplicates(bind, from.bind);
    return { bind, source: from.bind };
  }
  const [byDefault] = bind as readonly [Address & { kind: 'tcp' }];
  const address = {
    kind: 'tcp',
    host: host ?? (isPlatform(from.port) ? everyAddress : byDefault.host),
    port: port ?? byDefault.port,
  } as const;
  return { bind: [address], source: port === undefined ? from.host : from.port };
}

/** From PORT, of the environment or of --env-file. */
function isVariable(source: Source): boolean {
  return isPlatform(source) || (source.kind === 'file' && source.key === 'PORT');
}

/** Platforms such as Heroku set PORT, and connect to it from another machine. */
function isPlatform(source: Source): boolean {
  return source.kind === 'env' && source.name === 'PORT';
}

function checkDuplicates(bind: Settings['bind'], source: Source): void {
  const seen = new Set<string>();
  for (const address of bind) {
    const text = formatAddress(address);
    if (seen.has(text)) throw configError(`${setting(source)} has the address ${text} twice; give it once`);
    if (address.kind === 'unix' || address.port !== 0) seen.add(text);
  }
}
