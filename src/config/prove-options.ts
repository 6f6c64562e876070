// The options that `prove` takes besides the server's. They are no settings of a server, so they stand in no
// configuration file and no variable.
import { choice, commaList, count, file, target, word } from './kind.js';
import type { CommandOption } from './options.js';
import { duration } from './quantity.js';

interface Values {
  models: readonly string[];
  trials: readonly string[];
  reloads: number;
  scalings: number;
  switches: 'some' | 'all' | 'none';
  upgrades: number;
  url: string;
  clients: number;
  think: number;
  json: string;
}

export type ProveOptions = { readonly [K in keyof Values]: CommandOption<Values[K]> };

const second = 1000;

const rows: { readonly [K in keyof Values]: Omit<CommandOption<Values[K]>, 'key' | 'flag'> } = {
  models: {
    kind: commaList('MODEL,…|all', word),
    description: 'The models to put to the proof',
    defaultWords: 'the one that is configured',
  },
  trials: {
    kind: commaList('NAME,…', word),
    description: 'What to do to them: reload, broken, scale, recycle, switch, upgrade, kill, hang (docs/prove.md)',
    defaultWords: 'all',
  },
  reloads: { kind: count(1, 10_000), description: 'Reloads in the trial reload', default: 20 },
  scalings: { kind: count(1, 10_000), description: 'Workers more and less in the trial scale', default: 10 },
  switches: {
    kind: choice(['some', 'all', 'none'], 'WHICH'),
    description: 'In the trial switch, to each other model and back (some), or from each to each (all)',
    default: 'some',
  },
  upgrades: { kind: count(0, 1000), description: 'Upgrades in the trial upgrade', default: 3 },
  url: { kind: target, description: 'Ask for this path', default: '/' },
  clients: { kind: count(1, 1000), description: 'Clients that keep their connection', default: 8 },
  think: {
    kind: duration(0, 60 * second),
    description: 'Time between an answer and the next request of the same client',
    default: 10,
  },
  json: {
    kind: { ...file, metavar: 'PATH|-' },
    description: 'Write the results to this file as JSON; - is standard output, without the table',
    defaultWords: 'off',
  },
};

export const proveTable = Object.fromEntries(
  Object.entries(rows).map(([key, row]) => [key, { ...row, key, flag: key }]),
) as unknown as ProveOptions;

export const proveOptions: readonly CommandOption[] = Object.values(proveTable) as CommandOption[];
