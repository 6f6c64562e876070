// A target of a comparison: a server that `bench` starts, loads and stops. mpserve under one of its models is a target;
// other servers can be targets, too.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { within } from '../clock.js';
import type { Variant } from '../config/variant.js';
import { ServerProcess } from '../testbed/server-process.js';

export interface Target {
  readonly name: string;
  /** The command line that starts the target by hand. */
  readonly command: string;
  /** Resolves when the target is ready. Rejects with a one-line error if it fails to start; no process is left then. */
  start(): Promise<RunningTarget>;
}

export interface RunningTarget {
  readonly pid: number;
  /** `http://127.0.0.1:1234`. */
  readonly origin: string;
  /** Milliseconds from spawn to ready. */
  readonly bootMs: number;
  readonly workers: number;
  readonly threads: number;
  /** Stops all processes of the target, by SIGKILL if need be. Settles within a few seconds. */
  stop(): Promise<void>;
}

/** The target's `--graceful-timeout` (milliseconds). */
const gracefulTimeoutMs = 500;
/** From the end of the graceful timeout to SIGKILL (milliseconds). */
const killDelayMs = 2000;

/** mpserve under `model`; `args` are further arguments of `mpserve serve`. */
export function mpserve({ name, model }: Pick<Variant, 'name' | 'model'>, args: readonly string[]): Target {
  const own = ['--model', model, ...args];
  return { name, command: ['mpserve', ...own].join(' '), start: () => startMpserve(own) };
}

async function startMpserve(args: readonly string[]): Promise<RunningTarget> {
  // The configuration may name these files, which are one server's: of another target, or of the server in production.
  const directory = mkdtempSync(path.join(tmpdir(), 'mpserve-bench-'));
  const files = ['--control', path.join(directory, 'control'), '--pid-file', path.join(directory, 'pid')];
  const log = ['--log-format', 'json', '--log-level', 'info'];
  const stopping = ['--graceful-timeout', `${gracefulTimeoutMs}ms`];
  const began = performance.now();
  // A daemon would leave this process, which then could not stop it.
  const server = new ServerProcess([...args, '--no-daemon', '--bind', '127.0.0.1:0', ...files, ...log, ...stopping]);
  void server.exited.then(() => rmSync(directory, { recursive: true, force: true }));
  const ready = await server.ready;
  if (!ready) throw new Error(server.errorMessage || 'the server exited before it was ready');
  const { url: origin, workers, threads } = ready;
  const stop = async (): Promise<void> => {
    server.child.kill('SIGTERM');
    await within(gracefulTimeoutMs + killDelayMs, server.closed);
    server.child.kill('SIGKILL'); // its workers are on a leash and exit, too
    await server.closed;
  };
  return { pid: server.pid, origin, workers, threads, bootMs: performance.now() - began, stop };
}
