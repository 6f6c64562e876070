// Models with every combination of facts, and a function that loads the configuration as the command line does.
import { suggest as suggestFrom } from '../../src/cli/suggest.ts';
import { readArguments, type Switch } from '../../src/config/argv.ts';
import { flatten, type Values } from '../../src/config/config.ts';
import { type Loaded, loadConfig } from '../../src/config/load.ts';
import type { ModelFacts } from '../../src/config/model.ts';
import { listOptions, optionTable } from '../../src/config/options.ts';

const balances: ModelFacts['balances'] = (accept) => accept === 'dispatch';
const keepsSessions = balances;

export const models: readonly ModelFacts[] = [
  { name: 'ppc', summary: 'a process each', accept: [], maxConnections: 256 },
  {
    name: 'prefork',
    summary: 'processes',
    accept: ['shared', 'dispatch'],
    balances,
    keepsSessions,
    workers: (n) => n,
    maxConnections: 10_000,
  },
  {
    name: 'prethread',
    summary: 'threads',
    accept: ['dispatch'],
    balances,
    keepsSessions,
    threads: (n) => n * 2,
    units: true,
    maxConnections: 10_000,
  },
  {
    name: 'hybrid',
    summary: 'both',
    accept: ['shared', 'dispatch'],
    balances,
    workers: (n) => n,
    threads: (n) => n * 4,
    units: true,
    maxConnections: 10_000,
  },
];
export const table = optionTable(models);
export const options = listOptions(table);
export const switches: readonly Switch[] = [{ flag: 'help', alias: 'h', description: 'Print this help' }];

export interface Situation {
  readonly operator?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly cores?: number;
  readonly memory?: number;
}

/**
 * Loads the configuration for a command line; without a configuration file, unless `cwd` has one.
 * @returns `config` without the sections, and as it is in `sections`
 */
export async function configure(
  argv: readonly string[],
  situation: Situation = {},
): Promise<Omit<Loaded, 'config'> & { readonly config: Values; readonly sections: Loaded['config'] }> {
  const { values, words } = await readArguments(argv, options, switches);
  const { operator, env = {}, cwd = import.meta.dirname, cores = 4, memory = Number.POSITIVE_INFINITY } = situation;
  const argv_ = { ...values, app: words[0] };
  const machine = { cores, memory };
  const suggest = (word: string) =>
    suggestFrom(
      word,
      ['serve', 'config'],
      models.map(({ name }) => name),
    );
  const loaded = await loadConfig({ table, models, argv: argv_, operator, env, cwd, machine, suggest });
  return { ...loaded, config: flatten(loaded.config), sections: loaded.config };
}

/** The exit code and the message of a configuration that must be refused. */
export async function refusal(argv: readonly string[], situation?: Situation): Promise<readonly [number, string]> {
  const error = await configure(argv, situation).then(
    () => undefined,
    (error) => error,
  );
  if (error?.name !== 'StartupError') throw error ?? new Error('the configuration was not refused');
  return [error.exitCode, error.message];
}
