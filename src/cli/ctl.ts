// `mpserve ctl <what>`: asks a running server over its control socket, or has it do something, and prints what comes of
// it: a table for people, JSON for programs.

import { oneOf } from '../config/kind.js';
import { didYouMean } from '../config/nearest.js';
import { origin, type Source } from '../config/source.js';
import { act, ask, Unreachable } from '../control/client.js';
import {
  type Action,
  actions,
  ctlWords,
  type Outcome,
  type Settings,
  type Status,
  type Suspect,
  type WorkerStatus,
} from '../control/protocol.js';
import { ExitCode, StartupError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import type { Call } from './commands.js';
import { writeConfig } from './config.js';
import { complain } from './print-error.js';

const exit = { done: 0, failed: 1 } as const;

/** Resolves to 0 only when it came true. @throws StartupError */
export async function control(call: Call): Promise<number> {
  const [what, argument] = await readWords(call);
  const { config, sources } = await call.load();
  const path = config.control;
  if (path === undefined) {
    throw wrong(
      'name the control socket of the server with --control PATH, MPSERVE_CONTROL or in the configuration file; a server has one when it was started with it',
    );
  }
  try {
    if (what === 'quarantine' && argument === 'clear') return await perform(call, path, 'release', undefined);
    if (isAction(what)) return await perform(call, path, what, argument);
    const answer = await ask(path, what);
    if (what === 'config' && !call.switches.has('json'))
      console.log(safe(writeConfig(call.table, answer as Settings, false)));
    else print(call, what, answer);
    return exit.done;
  } catch (error) {
    throw error instanceof Unreachable ? unreachable(error, path, sources.control) : error;
  }
}

async function readWords({ words, switches }: Call): Promise<readonly [what: string, argument: string | undefined]> {
  const [what, argument] = words;
  if (what === undefined) throw wrong(`say what to do: mpserve ctl ${oneOf(ctlWords)}`);
  if (!ctlWords.includes(what)) {
    throw wrong(`mpserve ctl knows ${oneOf(ctlWords, 'and')}, not '${what}'${await didYouMean(what, ctlWords)}`);
  }
  if (what === 'scale' && argument === undefined) throw wrong('say how many workers: mpserve ctl scale 4, +1 or -1');
  if (what === 'quarantine' && argument !== undefined && !['list', 'clear'].includes(argument)) {
    throw wrong(`mpserve ctl quarantine takes list or clear, not '${argument}'`);
  }
  if (!['scale', 'quarantine'].includes(what) && argument !== undefined)
    throw wrong(`mpserve ctl ${what} takes nothing more, but got '${argument}'`);
  if (switches.has('now') && what !== 'stop') throw wrong('--now goes with mpserve ctl stop only; leave it out');
  return [what, argument];
}

/** What was given besides the way to the server. */
function optionsOf(values: Call['values']): Readonly<Record<string, string>> {
  const given = Object.entries(values).filter(
    ([key, value]) => value !== undefined && !['control', 'config', 'pidFile'].includes(key),
  );
  return Object.fromEntries(given.map(([key, value]) => [key, String(value)]));
}

function isAction(what: string): what is Action {
  return (actions as readonly string[]).includes(what);
}

async function perform(
  { switches, values }: Call,
  path: string,
  action: Action,
  workers: string | undefined,
): Promise<number> {
  const isJson = switches.has('json');
  const { pid } = await ask<Status>(path, 'status');
  const outcome = await act(
    path,
    action,
    {
      ...(workers && { workers }),
      now: switches.has('now'),
      ...(action === 'switch' && { options: optionsOf(values) }),
    },
    (words) => {
      if (!isJson && process.stderr.isTTY) process.stderr.write(`\r\x1b[K${safe(words)}`);
    },
  );
  if (!isJson && process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (action === 'stop' && outcome.ok) await gone(pid);
  tellOutcome(outcome, isJson);
  return outcome.ok ? exit.done : exit.failed;
}

function tellOutcome(outcome: Outcome, isJson: boolean): void {
  if (isJson) console.log(JSON.stringify(outcome));
  else if (outcome.ok) console.log(safe(outcome.message));
  else complain(outcome.error);
}

/** The server has said that it ends; it writes its last lines and exits (milliseconds). */
const lastWordsMs = 5000;
const lookEvery = 20;

async function gone(pid: number): Promise<void> {
  for (let waited = 0; waited < lastWordsMs; waited += lookEvery) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((later) => setTimeout(later, lookEvery));
  }
}

function print({ switches }: Call, what: string, answer: unknown): void {
  if (switches.has('json')) console.log(JSON.stringify(answer, undefined, 2));
  else if (what === 'status') console.log(safe(statusText(answer as Status)));
  else if (what === 'quarantine') console.log(safe(quarantineText(answer as readonly Suspect[])));
  else console.log(safe(workersText(answer as readonly WorkerStatus[])));
}

function statusText(status: Status): string {
  const { state, doing, pid, uptimeMs, app, model, urls, generation, workers, threads, range, scaled, requests, last } =
    status;
  const rows = [
    ['state', doing ? `${state}, a ${doing} is under way` : state],
    ['serves', `${app} on ${urls.join(', ')}`],
    ['model', `${model}, ${workers.ready} of ${workers.wanted} worker(s) ready, ${threads} thread(s) each`],
    ...(range
      ? [['size', `follows the load: ${extent(range.workers, 'worker')}, ${extent(range.threads, 'thread')}`]]
      : []),
    ...(scaled
      ? [['scaled', `${scaled.at}: from ${scaled.from} to ${scaled.to} ${scaled.unit}, ${scaled.reason}`]]
      : []),
    ['generation', String(generation)],
    ['requests', grouped(requests)],
    ['up', `${span(uptimeMs)}, pid ${pid}`],
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

function extent([min, max]: readonly [number, number], unit: string): string {
  return min === max ? `${min} ${unit}(s)` : `${min} to ${max} ${unit}s`;
}

function workersText(workers: readonly WorkerStatus[]): string {
  const head = ['worker', 'pid', 'generation', 'stage', 'up', 'requests', 'load', 'memory', 'CPU'];
  const rows = workers.map(({ worker, pid, generation, stage, readyMs, requests, load, memoryBytes, cpuSeconds }) => [
    String(worker),
    String(pid),
    String(generation),
    stage,
    readyMs === undefined ? '–' : span(readyMs),
    grouped(requests),
    load === undefined ? '–' : `${Math.round(load * 100)} %`,
    memoryBytes === undefined ? '–' : `${Math.round(memoryBytes / 1e6)} MB`,
    cpuSeconds === undefined ? '–' : `${cpuSeconds.toFixed(1)} s`,
  ]);
  return aligned([head, ...rows]);
}

function quarantineText(suspects: readonly Suspect[]): string {
  if (suspects.length === 0) return 'no request has been in flight when a worker ended';
  const rows = suspects.map(({ isRefused, deaths, at, method, url, fingerprint }) => [
    isRefused ? 'refused' : 'suspect',
    String(deaths),
    at,
    `${method} ${url}`,
    fingerprint.slice(fingerprint.lastIndexOf(' ') + 1),
  ]);
  return aligned([['', 'deaths', 'last', 'request', 'body'], ...rows]);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `1,234,567`. By hand, because `toLocaleString` loads ICU's data for numbers, which takes 12 ms. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `3 d 4 h`, `5 min 2 s`. */
function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const first = Math.max(
    0,
    units.findIndex(([, size]) => seconds >= size),
  );
  const parts = units.slice(seconds < 1 ? 3 : first, (seconds < 1 ? 3 : first) + 2);
  let rest = seconds;
  return parts
    .map(([name, size]) => {
      const count = Math.floor(rest / size);
      rest %= size;
      return `${count} ${name}`;
    })
    .join(' ');
}

function safe(text: string): string {
  return text.replace(/[^\n]+/g, escapeControls);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket; is the server running, and was it started with this --control?',
  ECONNREFUSED: 'nobody answers there; the server has ended without removing it',
  EACCES: 'not permitted; it belongs to another user, so run this as that one',
  ENOTSOCK: 'that is no socket',
};

function unreachable({ code = '', message }: Unreachable, path: string, source: Source): StartupError {
  const reason = reasons[code] ?? message;
  return new StartupError(ExitCode.boot, `cannot reach a server at ${path} (${origin(source)}): ${reason}`);
}

function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
