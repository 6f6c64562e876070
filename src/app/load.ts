// Turns what the user named (a file, `file#export`, a directory, or nothing) into an `App`. Runs in a process or
// in a thread, and knows of neither; a child that serves one connection does all of this for it.
import { locateApp } from '../config/app-path.js';
import { ExitCode, StartupError } from '../errors.js';
import type { App } from './app.js';
import { type Capture, captureListen, type ServerAddress } from './capture.js';
import { describeExports, type Exported, exportedApp, namedApp } from './exported.js';
import { ACCEPTED } from './kinds.js';
import { type LoadLimits, limitLoading } from './load-limits.js';
import { watchForQuiet } from './pending.js';
import { serverApp } from './server-app.js';
import { loadUserModule } from './user-module.js';

export type { ServerAddress } from './capture.js';

export interface AppRequest {
  /** An absolute path to a file or a directory, with or without `#export`; undefined is the demo app. */
  readonly target: string | undefined;
  /** The addresses that are really served, in the order of `--bind`: what the app is told it listens on. */
  readonly addresses: readonly ServerAddress[];
  /** Lets the demo app answer `/crash` and `/hang`. */
  readonly demoFaults: boolean;
  /** Milliseconds in which the app must be there; 0 is no limit. */
  readonly timeout: number;
}

/** Rejects with a `StartupError` whose cause is the app's own error. May be called once in a process or thread. */
export async function loadApp({ target, addresses, demoFaults, timeout }: AppRequest): Promise<App> {
  if (target === undefined) return (await import('./demo.js')).demoApp({ faults: demoFaults });
  const place = locateApp(target, '/');
  if (place === undefined) {
    throw new StartupError(ExitCode.app, `the app ${target} does not exist; give a file, file#export or a directory`);
  }
  const { file, exported: name, isDirectory } = place;
  if (isDirectory) return (await import('./directory.js')).directoryApp(file);
  process.argv.splice(1, Number.POSITIVE_INFINITY, file); // as `node FILE` has it
  const capture = captureListen(addresses);
  const limits = limitLoading(file, timeout);
  try {
    return await Promise.race([loadFile(file, name, capture, limits), limits.broken]);
  } catch (error) {
    capture.release();
    if (error instanceof StartupError) throw error;
    throw (await import('./load-failure.js')).loadFailure(file, error);
  } finally {
    limits.release();
  }
}

/** What was asked for comes first, then a server that listens, then what is exported, then waiting for `listen()`. */
async function loadFile(file: string, name: string | undefined, capture: Capture, limits: LoadLimits): Promise<App> {
  const before = process.getActiveResourcesInfo();
  const loading = loadUserModule(file);
  if (name !== undefined) {
    return exportedFrom(capture, await namedApp(await loading, name, file));
  }
  const server = await Promise.race([capture.listening, loading.then(() => capture.server)]);
  if (server !== undefined) {
    failLikeNode(loading);
    return capturedApp(capture);
  }
  const exports = await loading;
  const found = await exportedApp(exports, file);
  if (found !== undefined) return exportedFrom(capture, found);
  limits.found = `it exports ${describeExports(exports)} and has not listened yet`;
  const watch = watchForQuiet(before);
  try {
    await Promise.race([capture.listening, watch.quiet]);
  } finally {
    watch.stop();
  }
  if (capture.server !== undefined) return capturedApp(capture);
  throw nothingUsable(file, exports, capture.uncaptured);
}

function exportedFrom(capture: Capture, { app, value }: Exported): App {
  capture.claim(value);
  return app;
}

/** The hook stays while the app lives: a server of the same app may listen later (see `isTwin` in capture.ts). */
async function capturedApp(capture: Capture): Promise<App> {
  const server = await capture.listening;
  return serverApp(server, 'server', async () => {
    capture.release();
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
  });
}

/** A module that rejects after it has listened is not a failure to load: it dies of it as it would under `node`. */
function failLikeNode(loading: Promise<unknown>): void {
  loading.catch((error: unknown) => {
    process.nextTick(() => {
      throw error;
    });
  });
}

function nothingUsable(file: string, exports: unknown, uncaptured: string | undefined): StartupError {
  if (uncaptured !== undefined) {
    const advice = 'mpserve serves plain HTTP/1.1: use an http.Server, and terminate TLS in front of mpserve';
    return new StartupError(ExitCode.app, `the app ${file} listens with ${uncaptured}; ${advice}`);
  }
  const found = `exports ${describeExports(exports)} and no http.Server of it listens`;
  return new StartupError(ExitCode.app, `the app ${file} ${found}; accepted is ${ACCEPTED}`);
}
