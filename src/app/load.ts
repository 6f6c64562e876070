// Loads the app that the user named (a file, `file#export`, a directory, or nothing for the demo app) as an `App`. Runs
// in a worker process or a thread; it must be fast, because a `ppc` child runs it for a single connection.
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

interface AppRequest {
  /** An absolute path to a file or a directory, with or without `#export`; undefined is the demo app. */
  readonly target: string | undefined;
  /** The addresses on which mpserve listens, in the order of `--bind`; the app's `address()` returns the first. */
  readonly addresses: readonly ServerAddress[];
  /** Enables `/crash` and `/hang` in the demo app. */
  readonly demoFaults: boolean;
  /** Milliseconds in which the app must load; 0 is no limit. */
  readonly timeout: number;
}

/** Rejects with a `StartupError` whose cause is the app's own error. May be called only once in a process or thread. */
export async function loadApp({ target, addresses, demoFaults, timeout }: AppRequest): Promise<App> {
  if (target === undefined) return (await import('./demo.js')).demoApp({ faults: demoFaults });
  const location = locateApp(target, '/');
  if (location === undefined) {
    throw new StartupError(ExitCode.app, `the app ${target} does not exist; give a file, file#export or a directory`);
  }
  const { file, exported: name, isDirectory } = location;
  if (isDirectory) return (await import('./directory.js')).directoryApp(file);
  process.argv.splice(1, Number.POSITIVE_INFINITY, file); // as with `node FILE`
  const capture = captureListen(addresses);
  const limits = limitLoading(file, timeout);
  try {
    return await Promise.race([loadFile(file, name, capture, limits), limits.failed]);
  } catch (error) {
    capture.restore();
    if (error instanceof StartupError) throw error;
    throw (await import('./load-failure.js')).loadFailure(file, error);
  } finally {
    limits.stop();
  }
}

/** Tries in this order: the named export, a server that has called `listen()`, the exports, waiting for `listen()`. */
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
  limits.progress = `it exports ${describeExports(exports)} and has not called listen()`;
  const watch = watchForQuiet(before);
  try {
    await Promise.race([capture.listening, watch.quiet]);
  } finally {
    watch.stop();
  }
  if (capture.server !== undefined) return capturedApp(capture);
  throw noAppError(file, exports, capture.uncaptured);
}

function exportedFrom(capture: Capture, { app, value }: Exported): App {
  capture.useExport(value);
  return app;
}

/**
 * The hook stays until the app is closed: another server of the app may listen later (`sharesListener` in capture.ts).
 */
async function capturedApp(capture: Capture): Promise<App> {
  const server = await capture.listening;
  return serverApp(server, 'server', async () => {
    capture.restore();
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
  });
}

/** A module that rejects after it has called `listen()` did load: the rejection is uncaught, as under `node`. */
function failLikeNode(loading: Promise<unknown>): void {
  loading.catch((error: unknown) => {
    process.nextTick(() => {
      throw error;
    });
  });
}

function noAppError(file: string, exports: unknown, uncaptured: string | undefined): StartupError {
  if (uncaptured !== undefined) {
    const advice = 'mpserve serves plain HTTP/1.1: use an http.Server, and terminate TLS in front of mpserve';
    return new StartupError(ExitCode.app, `the app ${file} listens with ${uncaptured}; ${advice}`);
  }
  const found = `exports ${describeExports(exports)} and does not listen with an http.Server`;
  return new StartupError(ExitCode.app, `the app ${file} ${found}; mpserve accepts ${ACCEPTED}`);
}
