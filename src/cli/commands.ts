// The table of commands. Each command has a file of its own, which is loaded only when the command runs.
import { adviseTable, benchTable } from '../config/bench-options.js';
import { dumpTable } from '../config/ctl-options.js';
import type { CommandFacts } from '../config/help.js';
import { importTable } from '../config/import-options.js';
import { oneOf } from '../config/kind.js';
import { proveTable } from '../config/prove-options.js';
import { topTable } from '../config/top-options.js';
import { ctlCommands } from '../control/protocol.js';
import type { Call } from './call.js';

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
    run: async (call) => (await import('./serve.js')).serve(call.load),
  },
  {
    name: 'ctl',
    takes: '<command> [argument]',
    most: 3,
    summary: `Query or control a running server: ${oneOf(ctlCommands)}`,
    switches: [
      { flag: 'json', description: 'Print JSON' },
      { flag: 'now', description: 'With stop: do not wait for requests in flight' },
      { flag: 'check', description: 'With status: exit 1 if no worker can serve' },
      { flag: 'watch', description: 'With status and workers: print again each second' },
    ],
    options: Object.values(dumpTable),
    run: async (call) => (await import('./ctl.js')).runCtl(call),
  },
  {
    name: 'top',
    takes: '',
    most: 0,
    summary: 'Show a running server in the terminal: its workers, threads and requests in flight, each second',
    options: Object.values(topTable),
    run: async (call) => (await import('./top.js')).runTop(call),
  },
  {
    name: 'bench',
    takes: '[app]',
    summary: 'Compare the models on the app: throughput, latency, CPU time, memory, fairness',
    options: Object.values(benchTable),
    run: async (call) => (await import('./bench.js')).runBench(call),
  },
  {
    name: 'advise',
    takes: '[app]',
    summary: 'Measure the models on the app and recommend one',
    options: Object.values(adviseTable),
    run: async (call) => (await import('./advise.js')).runAdvise(call),
  },
  {
    name: 'prove',
    takes: '[app]',
    summary: 'Inject reloads, crashes and hangs under load, and report lost requests',
    options: Object.values(proveTable),
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
    name: 'import',
    takes: '<file>',
    summary: 'Write mpserve.config.mjs from a pm2 file (ecosystem.config.js)',
    options: Object.values(importTable),
    switches: [{ flag: 'force', description: 'Overwrite files' }],
    run: async (call) => (await import('./import.js')).runImport(call),
  },
  {
    name: 'completion',
    takes: '[shell]',
    summary: 'Print a completion script for bash, zsh or fish (default: the shell in $SHELL)',
    run: async (call) => (await import('./completion.js')).printCompletion(call),
  },
];
