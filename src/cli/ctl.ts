// `mpserve ctl <command>`: sends a query or an action to a running server over its control socket, and prints the
// result as a table, or as JSON with --json.

import { policies } from '../balance/policy.js';
import { oneOf } from '../config/kind.js';
import { didYouMean } from '../config/nearest.js';
import { act, ask, Unreachable } from '../control/client.js';
import {
  type Action,
  actions,
  ctlCommands,
  type DumpKind,
  dumps,
  type Outcome,
  type Query,
  type Settings,
  type Status,
} from '../control/protocol.js';
import { textOf } from '../control/text.js';
import { configError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import { waitForExit } from '../os/process-exit.js';
import type { Call } from './call.js';
import { formatConfig } from './config.js';
import { printError } from './print-error.js';
import { locate, unreachable } from './unreachable.js';

const exitCode = { done: 0, failed: 1 } as const;

/** In these a worker can serve a new client; --check fails in all others. */
const servingStates: readonly Status['state'][] = ['serving', 'degraded'];

/** Resolves to 0 only if the server has done it. @throws StartupError */
export async function runCtl(call: Call): Promise<number> {
  const [command, ...args] = await readPositionals(call);
  const [socketPath, source] = await locate(call, 'mpserve ctl');
  try {
    if (command === 'quarantine' && args[0] === 'clear') return await perform(call, socketPath, 'release', []);
    if (command === 'cache' && args[0] === 'purge') return await perform(call, socketPath, 'purge', args.slice(1));
    if (isDump(command)) return await (await import('./dump.js')).runDump(call, socketPath, command, args[0]);
    if (isAction(command)) return await perform(call, socketPath, command, args);
    const query = command as Query;
    if (call.switches.has('watch')) {
      const { watch } = await import('./watch.js');
      return await watch(async () => format(call, query, await ask(socketPath, query)));
    }
    const result = await ask(socketPath, query);
    console.log(format(call, query, result));
    const isServing = !call.switches.has('check') || servingStates.includes((result as Status).state);
    return isServing ? exitCode.done : exitCode.failed;
  } catch (error) {
    throw error instanceof Unreachable ? unreachable(error, 'mpserve ctl', socketPath, source) : error;
  }
}

async function readPositionals({
  positionals,
  switches,
  values,
}: Call): Promise<readonly [command: string, ...args: string[]]> {
  const [command, argument, ...others] = positionals;
  if (command === undefined) throw configError(`missing command; use mpserve ctl ${oneOf(ctlCommands)}`);
  if (!ctlCommands.includes(command)) {
    const hint = await didYouMean(command, ctlCommands);
    throw configError(`unknown command 'mpserve ctl ${command}'; the commands are ${oneOf(ctlCommands, 'and')}${hint}`);
  }
  if (command === 'scale' && !/^[+-]?\d+$/.test(argument ?? '')) {
    const problem = argument === undefined ? 'missing number of workers' : `'${argument}' is no number of workers`;
    throw configError(`${problem}; use mpserve ctl scale 4, +1 or -1`);
  }
  if (command === 'balance') await checkPolicy(argument, others);
  if (command === 'quarantine' && argument !== undefined && !['list', 'clear'].includes(argument)) {
    throw configError(`mpserve ctl quarantine takes list or clear, not '${argument}'`);
  }
  if (command === 'cache' && argument !== undefined) checkCacheArguments(argument, others);
  if (isDump(command) && argument !== undefined && !/^\d{1,9}(\.\d{1,9})?$/.test(argument)) {
    throw configError(
      `'${argument}' is no worker; use its number, as in mpserve ctl ${command} 2, or 2.1 for its thread 1 (mpserve ctl stacks lists them)`,
    );
  }
  if (!['scale', 'balance', 'quarantine', 'cache', ...dumps].includes(command) && argument !== undefined) {
    const hint = command === 'switch' ? `; use flags, as in mpserve ctl switch --model ${argument}` : '';
    throw configError(`mpserve ctl ${command} takes no argument, but got '${argument}'${hint}`);
  }
  if (!['balance', 'cache'].includes(command) && others.length > 0) {
    throw configError(`mpserve ctl ${command} takes one argument, but got '${others[0]}' as well`);
  }
  if (switches.has('now') && command !== 'stop') {
    throw configError('--now only works with mpserve ctl stop; remove it');
  }
  if (switches.has('check') && command !== 'status') {
    throw configError('--check only works with mpserve ctl status; remove it');
  }
  if (values.seconds !== undefined && command !== 'profile') {
    throw configError('--seconds only works with mpserve ctl profile; remove it');
  }
  if (values.output !== undefined && !isDump(command)) {
    throw configError('--output only works with mpserve ctl profile and mpserve ctl heap; remove it');
  }
  if (switches.has('watch') && !['status', 'workers'].includes(command)) {
    throw configError('--watch only works with mpserve ctl status and mpserve ctl workers; remove it');
  }
  if (switches.has('watch') && switches.has('check')) {
    throw configError('--watch and --check exclude each other; remove one');
  }
  return [command, ...positionals.slice(1)];
}

function checkCacheArguments(argument: string, [extra]: readonly string[]): void {
  if (argument !== 'stats' && argument !== 'purge')
    throw configError(`mpserve ctl cache takes stats or purge, not '${argument}'`);
  if (argument === 'stats' && extra !== undefined)
    throw configError(`mpserve ctl cache stats takes no argument, but got '${extra}'`);
}

/** A URL of the server begins with a slash or a scheme; anything else is a tag. */
function purgeTarget(target: string): { readonly url: string } | { readonly tag: string } {
  return /^(?:\/|https?:\/\/)/i.test(target) ? { url: target } : { tag: target };
}

/** @param others those after the policy: its weights */
async function checkPolicy(policy: string | undefined, others: readonly string[]): Promise<void> {
  if (policy === undefined) throw configError(`missing policy; use mpserve ctl balance ${oneOf(policies)}`);
  if (!(policies as readonly string[]).includes(policy)) {
    const hint = await didYouMean(policy, policies);
    throw configError(`the policy of mpserve ctl balance must be ${oneOf(policies)}, not '${policy}'${hint}`);
  }
  const takes = policy === 'weighted' ? 1 : 0;
  const [extra] = others.slice(takes);
  if (extra !== undefined) throw configError(`mpserve ctl balance ${policy} takes no '${extra}'; remove it`);
  if (takes > others.length) throw configError('missing weights; use for example mpserve ctl balance weighted 3,1');
}

/** The options to switch to: all given ones but those that locate the server. */
function switchOptions(values: Call['values']): Readonly<Record<string, string>> {
  const given = Object.entries(values).filter(
    ([key, value]) => value !== undefined && !['control', 'config', 'pidFile', 'cwd', 'envFile'].includes(key),
  );
  return Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
}

function isDump(command: string): command is DumpKind {
  return (dumps as readonly string[]).includes(command);
}

function isAction(command: string): command is Action {
  return (actions as readonly string[]).includes(command);
}

async function perform(
  { switches, values }: Call,
  socketPath: string,
  action: Action,
  [argument, weights]: readonly string[],
): Promise<number> {
  const isJson = switches.has('json');
  const { pid } = await ask<Status>(socketPath, 'status');
  const outcome = await act(
    socketPath,
    action,
    {
      ...(action === 'scale' && argument && { workers: argument }),
      ...(action === 'balance' && argument && { options: { balance: argument, ...(weights && { weights }) } }),
      ...(action === 'purge' && argument && purgeTarget(argument)),
      now: switches.has('now'),
      ...(action === 'switch' && { options: switchOptions(values) }),
    },
    (progress) => {
      if (!isJson && process.stderr.isTTY) process.stderr.write(`\r\x1b[K${safe(progress)}`);
    },
  );
  if (!isJson && process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (action === 'stop' && outcome.ok) await waitForExit(pid, exitTimeoutMs);
  printOutcome(outcome, isJson);
  return outcome.ok ? exitCode.done : exitCode.failed;
}

function printOutcome(outcome: Outcome, isJson: boolean): void {
  if (isJson) console.log(JSON.stringify(outcome));
  else if (outcome.ok) console.log(safe(outcome.message));
  else printError(outcome.error);
}

/** After the server has confirmed the stop, it still flushes its logs (milliseconds). */
const exitTimeoutMs = 5000;

function format({ table, switches }: Call, query: Query, result: unknown): string {
  if (switches.has('json')) return JSON.stringify(result, undefined, 2);
  if (query === 'config') return safe(formatConfig(table, result as Settings, false));
  return textOf(query, result);
}

/** The server reports text of clients and of the app. */
function safe(text: string): string {
  return escapeControls(text, '\n');
}
