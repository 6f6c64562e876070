// `mpserve ctl profile` and `mpserve ctl heap`: write what a worker sends to a new file. Loaded only for these, as it loads
// HTTP.
import { createWriteStream, openSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { dumpTable } from '../config/ctl-options.js';
import { readValue } from '../config/load.js';
import { ask, Unreachable } from '../control/client.js';
import type { DumpKind, Outcome, WorkerStatus } from '../control/protocol.js';
import { configError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import type { Call } from './call.js';
import { printError } from './print-error.js';

const extensions: Readonly<Record<DumpKind, string>> = { profile: 'cpuprofile', heap: 'heapsnapshot' };
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** 128 + SIGINT, as shells report it. */
const interrupted = 130;
const cut =
  'the server cut the transfer: the worker has ended, or a limit was exceeded; the log of the server says why';

/** @returns the exit code. @throws StartupError, Unreachable */
export async function runDump(
  { values, switches }: Call,
  socketPath: string,
  kind: DumpKind,
  given: string | undefined,
): Promise<number> {
  const seconds = await read('seconds', values.seconds ?? dumpTable.seconds.default);
  const output = values.output === undefined ? undefined : await read('output', values.output);
  const workers = await ask<readonly WorkerStatus[]>(socketPath, 'workers');
  const worker = given ?? workers[0]?.worker.toString();
  if (worker === undefined) {
    printError('no worker is running; mpserve ctl status shows the state of the server');
    return 1;
  }
  const file = output ?? `mpserve-${worker}-${timeInName()}.${extensions[kind]}`;
  const fd = file === '-' ? undefined : create(file);
  const target = fd === undefined ? process.stdout : createWriteStream('', { fd });
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  for (const signal of stopSignals) process.on(signal, stop);
  let isWhole = false;
  try {
    console.error(beginning(kind, worker, seconds));
    const content = kind === 'profile' ? { worker, seconds } : { worker };
    const failure = await download(socketPath, kind, content, target, stopped.signal);
    isWhole = failure === undefined;
    if (stopped.signal.aborted) return interrupted;
    if (failure !== undefined) printError(failure);
    else if (switches.has('json') && fd !== undefined) console.log(JSON.stringify({ ok: true, message: file }));
    else console.error(`wrote ${escapeControls(file === '-' ? 'it to standard output' : file)}`);
    return isWhole ? 0 : 1;
  } finally {
    for (const signal of stopSignals) process.off(signal, stop);
    if (fd !== undefined && !isWhole) rmSync(file, { force: true });
  }
}

function beginning(kind: DumpKind, worker: string, seconds: number): string {
  return kind === 'profile'
    ? `profiling worker ${worker} for ${seconds} s`
    : `taking a heap snapshot of worker ${worker}: it answers no request until its memory has been read`;
}

/** @returns why it failed, for the user; undefined if all of it has been written. @throws Unreachable */
async function download(
  socketPath: string,
  kind: DumpKind,
  content: object,
  target: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<string | undefined> {
  const response = await post(socketPath, `/${kind}`, content, signal);
  if (!response) return 'interrupted';
  if (response.statusCode !== 200) return errorIn(await text(response));
  try {
    await pipeline(response, target, { end: target !== process.stdout });
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ECONNRESET' ? cut : `cannot write the file: ${message}`;
  }
}

/** @returns undefined when it is interrupted. @throws Unreachable */
function post(
  socketPath: string,
  path: string,
  content: object,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  return new Promise((done, failed) => {
    const sent = request({ socketPath, path, method: 'POST', signal }, done);
    sent.on('error', ({ message, code }: NodeJS.ErrnoException) => {
      if (signal.aborted) done(undefined);
      else failed(new Unreachable(message, code));
    });
    sent.end(JSON.stringify(content));
  });
}

function errorIn(body: string): string {
  try {
    const outcome = JSON.parse(body) as Outcome;
    if (!outcome.ok) return String(outcome.error);
  } catch {}
  return 'the response does not come from a control socket of mpserve';
}

/** @throws StartupError unless it is new and can be written */
function create(file: string): number {
  try {
    return openSync(file, 'wx', 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw configError(`${file} exists already; remove it, or name another file with --output`);
    if (code === 'ENOENT')
      throw configError(`the directory of ${file} does not exist; create it, or use another --output`);
    throw configError(`cannot create ${file}: ${message}; use another --output`);
  }
}

/** `20260131T235959Z`. */
function timeInName(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

async function read<K extends keyof typeof dumpTable>(key: K, raw: unknown) {
  const { kind, flag } = dumpTable[key];
  type Value = K extends 'seconds' ? number : string;
  return (await readValue(kind as never, raw, { kind: 'argv', flag: `--${flag}` })) as Value;
}
