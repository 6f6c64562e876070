// The table of commands, a file each. A command is loaded when it is run.
import { adviseOptions, benchOptions } from '../config/bench-options.js';
import type { CommandFacts, CommandLine } from '../config/help.js';
import { oneOf } from '../config/kind.js';
import type { Loaded, Overrides } from '../config/load.js';
import type { OptionTable } from '../config/options.js';
import { proveOptions } from '../config/prove-options.js';
import { ctlWords } from '../control/protocol.js';

/** What a command gets. */
export interface Call {
  /** What followed the name of the command; no more than it takes. */
  readonly words: readonly string[];
  readonly switches: ReadonlySet<string>;
  /** What was given of its own options and of the server's, by key, not yet read. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly table: OptionTable;
  readonly line: CommandLine;
  /** Reads the configuration, with the first word as the app. @param operator what was told since the start */
  load(operator?: Overrides): Promise<Loaded>;
}

export interface Command extends CommandFacts {
  /** Resolves to the exit code. */
  run(call: Call): Promise<number>;
}

export const commands: readonly Command[] = [
  {
    name: 'serve',
    takes: '[app]',
    summary: 'Serve an app: a file, FILE#EXPORT, a directory, or the built-in demo',
    default: true,
    switches: [],
    run: async (call) => (await import('./serve.js')).serve(call.load),
  },
  {
    name: 'ctl',
    takes: '<what> [N]',
    most: 2,
    summary: `Ask a running server, or tell it what to do: ${oneOf(ctlWords)}`,
    switches: [
      { flag: 'json', description: 'Print JSON' },
      { flag: 'now', description: 'With stop: do not wait for what is in flight' },
    ],
    run: async (call) => (await import('./ctl.js')).control(call),
  },
  {
    name: 'bench',
    takes: '[app]',
    summary: 'Compare the models on the app: throughput, latency, processor time, memory, fairness',
    switches: [],
    options: benchOptions,
    run: async (call) => (await import('./bench.js')).runBench(call),
  },
  {
    name: 'advise',
    takes: '[app]',
    summary: 'Measure what decides, and recommend a model for the app',
    switches: [],
    options: adviseOptions,
    run: async (call) => (await import('./advise.js')).runAdvise(call),
  },
  {
    name: 'prove',
    takes: '[app]',
    summary: 'Do to a server what operators and bad luck do, and tell what its clients have lost',
    switches: [],
    options: proveOptions,
    run: async (call) => (await import('./prove.js')).runProve(call),
  },
  {
    name: 'config',
    takes: '[app]',
    summary: 'Print each option with its value and where that came from',
    switches: [{ flag: 'json', description: 'Print JSON' }],
    run: async (call) => (await import('./config.js')).printConfig(call),
  },
  {
    name: 'completion',
    takes: '[shell]',
    summary: 'Print a script for completion in bash, zsh or fish (default: the shell that SHELL names)',
    switches: [],
    run: async (call) => (await import('./completion.js')).printCompletion(call),
  },
];
