// `mpserve ctl <command>`: sends a query or an action to a running server over its control socket, and prints the
// result as a table, or as JSON with --json.

import { policies } from '../balance/policy.js';
import { oneOf } from '../config/kind.js';
import { didYouMean } from '../config/nearest.js';
import { origin, type Source } from '../config/source.js';
import { act, ask, Unreachable } from '../control/client.js';
import {
  type Action,
  actions,
  ctlCommands,
  type DumpKind,
  dumps,
  type Outcome,
  type Settings,
  type Status,
  type Suspect,
  type WorkerStacks,
  type WorkerStatus,
} from '../control/protocol.js';
import { configError, ExitCode, StartupError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import { waitForExit } from '../os/process-exit.js';
import { models } from '../strategies/models.js';
import type { Call } from './call.js';
import { aligned, formatConfig } from './config.js';
import { printError } from './print-error.js';
import { stacksText } from './stacks.js';

const exitCode = { done: 0, failed: 1 } as const;

/** In these a worker can serve a new client; --check fails in all others. */
const servingStates: readonly Status['state'][] = ['serving', 'degraded'];

/** Resolves to 0 only if the server has done it. @throws StartupError */
export async function runCtl(call: Call): Promise<number> {
  const [command, ...args] = await readPositionals(call);
  const { path: socketPath, source } = await call.locateControl();
  if (socketPath === undefined) {
    throw configError(
      'no control socket configured; start the server with --control PATH, and give mpserve ctl the same --control, MPSERVE_CONTROL or configuration file',
    );
  }
  try {
    if (command === 'quarantine' && args[0] === 'clear') return await perform(call, socketPath, 'release', []);
    if (isDump(command)) return await (await import('./dump.js')).runDump(call, socketPath, command, args[0]);
    if (isAction(command)) return await perform(call, socketPath, command, args);
    const result = await ask(socketPath, command);
    console.log(call.switches.has('json') ? JSON.stringify(result, undefined, 2) : safe(format(call, command, result)));
    const isServing = !call.switches.has('check') || servingStates.includes((result as Status).state);
    return isServing ? exitCode.done : exitCode.failed;
  } catch (error) {
    throw error instanceof Unreachable ? unreachable(error, socketPath, source) : error;
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
  if (isDump(command) && argument !== undefined && !/^\d{1,9}(\.\d{1,9})?$/.test(argument)) {
    throw configError(
      `'${argument}' is no worker; use its number, as in mpserve ctl ${command} 2, or 2.1 for its thread 1 (mpserve ctl stacks lists them)`,
    );
  }
  if (!['scale', 'balance', 'quarantine', ...dumps].includes(command) && argument !== undefined) {
    const hint = command === 'switch' ? `; use flags, as in mpserve ctl switch --model ${argument}` : '';
    throw configError(`mpserve ctl ${command} takes no argument, but got '${argument}'${hint}`);
  }
  if (command !== 'balance' && others.length > 0) {
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
  return [command, ...positionals.slice(1)];
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

function format({ table }: Call, query: string, result: unknown): string {
  if (query === 'config') return formatConfig(table, result as Settings, false);
  if (query === 'status') return statusText(result as Status);
  if (query === 'stacks') return stacksText(result as readonly WorkerStacks[]);
  if (query === 'quarantine') return quarantineText(result as readonly Suspect[]);
  return workersText(result as readonly WorkerStatus[]);
}

function statusText(status: Status): string {
  const { state, doing, pid, uptimeMs, app, model, urls, generation, workers, threads } = status;
  const { balance, sessions, range, scaled, lastError, requests, last } = status;
  const rows = [
    ['state', doing ? `${state}, ${doing} in progress` : state],
    ...(lastError ? [['last error', `${lastError.at}: ${lastError.message}`]] : []),
    ['app', `${app} on ${urls.join(', ')}`],
    ['model', `${model}, ${models[model]?.once ? 'a worker for each connection' : size(workers, threads)}`],
    ...(balance ? [['balance', balance]] : []),
    ...(sessions ? [['sessions', `${grouped(sessions.placedAgain)} placed again`]] : []),
    ...(range ? [['auto-scaling', `${limits(range.workers, 'worker')}, ${limits(range.threads, 'thread')}`]] : []),
    ...(scaled
      ? [['last scaling', `${scaled.at}: from ${scaled.from} to ${scaled.to} ${scaled.unit}, ${scaled.reason}`]]
      : []),
    ['generation', String(generation)],
    ['requests', grouped(requests)],
    ['uptime', `${duration(uptimeMs)}, pid ${pid}`],
    ...(last
      ? [
          [
            `last ${last.action}`,
            `${last.at}: ${last.outcome.ok ? last.outcome.message : `failed: ${last.outcome.error}`}`,
          ],
        ]
      : []),
  ];
  return aligned(rows);
}

/** During a reload more workers may be ready than there are to be. */
function size({ wanted, ready }: Status['workers'], threads: number): string {
  return `${wanted} worker(s), ${ready === wanted ? 'all' : ready} ready, ${threads} thread(s) each`;
}

function limits([min, max]: readonly [number, number], unit: string): string {
  return min === max ? `${min} ${unit}(s)` : `${min} to ${max} ${unit}s`;
}

function workersText(workers: readonly WorkerStatus[]): string {
  const isPlaced = workers.some(({ placed }) => placed !== undefined);
  const head = ['worker', 'pid', 'generation', 'stage', 'uptime', 'requests', 'load', 'memory', 'CPU time'];
  if (isPlaced) head.push('placed', 'open');
  const rows = workers.map(
    ({ worker, pid, generation, stage, readyMs, requests, load, memoryBytes, cpuSeconds, placed, connections }) => [
      String(worker),
      String(pid),
      String(generation),
      stage,
      readyMs === undefined ? '–' : duration(readyMs),
      grouped(requests),
      load === undefined ? '–' : `${Math.round(load * 100)} %`,
      memoryBytes === undefined ? '–' : `${Math.round(memoryBytes / 1e6)} MB`,
      cpuSeconds === undefined ? '–' : `${cpuSeconds.toFixed(1)} s`,
      ...(isPlaced ? [grouped(placed ?? 0), grouped(connections ?? 0)] : []),
    ],
  );
  return aligned([head, ...rows]);
}

function quarantineText(suspects: readonly Suspect[]): string {
  if (suspects.length === 0) return 'no request is suspected of killing workers';
  const rows = suspects.map(({ isRefused, deaths, at, method, url, fingerprint }) => [
    isRefused ? 'refused' : 'suspect',
    String(deaths),
    at,
    `${method} ${url}`,
    fingerprint.slice(fingerprint.lastIndexOf(' ') + 1),
  ]);
  return aligned([['', 'deaths', 'last death', 'request', 'body'], ...rows]);
}

/** `1,234,567`. Not `toLocaleString`, which takes 12 ms to load ICU's number data. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `3 d 4 h`, `5 min 2 s`. */
function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const units = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  const shown = units.slice(first, first < 0 ? undefined : first + 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

/** The server reports text of clients and of the app. */
function safe(text: string): string {
  return escapeControls(text, '\n');
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such socket; is the server running, and was it started with this --control?',
  ECONNREFUSED: 'connection refused; the server has exited without removing its socket',
  EACCES: 'permission denied; the socket belongs to another user, so run mpserve ctl as that user',
  ENOTSOCK: 'not a socket',
};

function unreachable({ code = '', message }: Unreachable, socketPath: string, source: Source): StartupError {
  const reason = reasons[code] ?? message;
  return new StartupError(ExitCode.boot, `cannot reach a server at ${socketPath} (${origin(source)}): ${reason}`);
}
