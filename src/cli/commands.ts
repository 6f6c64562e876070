// The table of commands. Each command has a file of its own, which is loaded only when the command runs.
import { adviseOptions, benchOptions } from '../config/bench-options.js';
import type { CommandFacts, CommandLine } from '../config/help.js';
import { oneOf } from '../config/kind.js';
import type { Loaded, Overrides } from '../config/load.js';
import type { OptionTable } from '../config/options.js';
import { proveOptions } from '../config/prove-options.js';
import { ctlCommands } from '../control/protocol.js';

/** The command line as a command receives it. */
export interface Call {
  /** After the name of the command; no more than it takes. */
  readonly positionals: readonly string[];
  /** The flags without a value. */
  readonly switches: ReadonlySet<string>;
  /** The given values of the command's own options and of the server's, by key, not yet parsed. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly table: OptionTable;
  readonly line: CommandLine;
  /** Reads the configuration; the first positional is the app. @param operator settings changed since the start */
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
    takes: '<command> [argument]',
    most: 2,
    summary: `Query or control a running server: ${oneOf(ctlCommands)}`,
    switches: [
      { flag: 'json', description: 'Print JSON' },
      { flag: 'now', description: 'With stop: do not wait for requests in flight' },
    ],
    run: async (call) => (await import('./ctl.js')).runCtl(call),
  },
  {
    name: 'bench',
    takes: '[app]',
    summary: 'Compare the models on the app: throughput, latency, CPU time, memory, fairness',
    switches: [],
    options: benchOptions,
    run: async (call) => (await import('./bench.js')).runBench(call),
  },
  {
    name: 'advise',
    takes: '[app]',
    summary: 'Measure the models on the app and recommend one',
    switches: [],
    options: adviseOptions,
    run: async (call) => (await import('./advise.js')).runAdvise(call),
  },
  {
    name: 'prove',
    takes: '[app]',
    summary: 'Inject reloads, crashes and hangs under load, and report lost requests',
    switches: [],
    options: proveOptions,
    run: async (call) => (await import('./prove.js')).runProve(call),
  },
  {
    name: 'config',
    takes: '[app]',
    summary: 'Print each option with its value and the source of the value',
    switches: [{ flag: 'json', description: 'Print JSON' }],
    run: async (call) => (await import('./config.js')).printConfig(call),
  },
  {
    name: 'completion',
    takes: '[shell]',
    summary: 'Print a completion script for bash, zsh or fish (default: the shell in $SHELL)',
    switches: [],
    run: async (call) => (await import('./completion.js')).printCompletion(call),
  },
];
