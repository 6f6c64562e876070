// Loads the app that the user named (a file, `file#export`, a directory, or nothing for the demo app) as an `App`. Runs
// in a worker process or a thread; it must be fast, because a `ppc` child runs it for a single connection.
import { locateApp } from '../config/app-path.js';
import { ExitCode, StartupError } from '../errors.js';
import { readText } from '../os/files.js';
import type { App } from './app.js';
import { type Capture, captureListen, type ServerAddress } from './capture.js';
import { watchForFork } from './cluster-fork.js';
import { describeExports, type Exported, exportedApp, namedApp } from './exported.js';
import { ACCEPTED } from './kinds.js';
import { type LoadLimits, limitLoading } from './load-limits.js';
import { watchForQuiet } from './pending.js';
import type { SecondaryServers } from './secondary-servers.js';
import type { ServeRule } from './serve-rule.js';
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
  /** Which server is the app's, if it has several. */
  readonly serve?: ServeRule;
  readonly secondary?: SecondaryServers;
  /** Told of what an operator should know. */
  readonly tell?: (found: Found) => void;
  /** Told when the app has closed its server. */
  readonly onClosed?: () => void;
}

/** What an app does that an operator may want to change. */
export type Found =
  | { readonly event: 'several-servers'; readonly served: string; readonly others: readonly string[] }
  | { readonly event: 'cluster-fork' };

/** A module that goes on loading after a server has listened is not waited for any longer (milliseconds). */
const maxLoadingMs = 5000;

/** Rejects with a `StartupError` whose cause is the app's own error. May be called only once in a process or thread. */
export async function loadApp(request: AppRequest): Promise<App> {
  const { target, addresses, demoFaults, timeout, serve = 'auto', secondary, tell, onClosed } = request;
  if (target === undefined) return (await import('./demo.js')).demoApp({ faults: demoFaults });
  const location = locateApp(target, '/');
  if (location === undefined) {
    throw new StartupError(ExitCode.app, `the app ${target} does not exist; give a file, file#export or a directory`);
  }
  const { file, exported: name, isDirectory } = location;
  if (isDirectory) return (await import('./directory.js')).directoryApp();
  process.argv.splice(1, Number.POSITIVE_INFINITY, file); // as with `node FILE`
  const capture = captureListen(addresses, {
    serve,
    ...(secondary && { secondary }),
    onSeveral: (served, others) => tell?.({ event: 'several-servers', served, others }),
    onClosed,
  });
  const limits = limitLoading(file, timeout);
  const app = { file, name, serve, onFork: () => tell?.({ event: 'cluster-fork' }) };
  try {
    const loaded = await Promise.race([loadFile(app, capture, limits), limits.failed]);
    capture.loaded();
    return loaded;
  } catch (error) {
    capture.restore();
    if (error instanceof StartupError) throw error;
    throw (await import('./load-failure.js')).loadFailure(file, error);
  } finally {
    limits.stop();
  }
}

interface AppFile {
  readonly file: string;
  /** The export that is the app, if the user has named one. */
  readonly name: string | undefined;
  readonly serve: ServeRule;
  /** Called when the app forks workers of its own. */
  readonly onFork: () => void;
}

/** Tries in this order: the named export, a server that has called `listen()`, the exports, waiting for `listen()`. */
async function loadFile({ file, name, serve, onFork }: AppFile, capture: Capture, limits: LoadLimits): Promise<App> {
  const before = process.getActiveResourcesInfo();
  const loading = loadUserModule(file);
  const forked = loading.then(watchForFork, watchForFork).then(() => {
    onFork();
    return 'forked' as const;
  });
  if (name !== undefined) {
    return exportedFrom(capture, await namedApp(await loading, name, file));
  }
  const goesOn = capture.listening.then(() => untilQuiet(before, loading));
  const server = await Promise.race([capture.certain, goesOn, loading]).then(
    () => capture.server,
    (error: unknown) => {
      if (capture.server === undefined) throw error;
      return capture.server;
    },
  );
  if (server !== undefined) {
    failLikeNode(loading);
    return capturedApp(capture);
  }
  const exports = await loading;
  const found = await exportedApp(exports, file);
  if (found !== undefined) return exportedFrom(capture, found);
  limits.progress = `it exports ${describeExports(exports)} and has not called listen()`;
  const watch = watchForQuiet(before);
  let hasForked = false;
  try {
    hasForked = (await Promise.race([capture.listening, watch.quiet, forked])) === 'forked';
  } finally {
    watch.stop();
  }
  if (capture.server !== undefined) return capturedApp(capture);
  throw hasForked ? forkError(file) : noAppError(file, exports, capture, serve);
}

/** Settles when the module has loaded or, as it may wait for something for ever, has no work that is pending. */
async function untilQuiet(before: readonly string[], loading: Promise<unknown>): Promise<void> {
  const watch = watchForQuiet(before);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, maxLoadingMs).unref();
  });
  await Promise.race([watch.quiet, late, loading.catch(() => {})]);
  clearTimeout(timer);
  watch.stop();
}

function exportedFrom(capture: Capture, { app, value }: Exported): App {
  capture.useExport(value);
  return app;
}

/**
 * The hook stays until the app is closed: another server of the app may listen later (`sharesListener` in capture.ts).
 */
async function capturedApp(capture: Capture): Promise<App> {
  const server = await capture.choose();
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

function forkError(file: string): StartupError {
  const advice = 'give mpserve the file that its workers run, or turn its clustering off, and use --workers';
  return new StartupError(
    ExitCode.app,
    `the app ${file} forks workers of its own with cluster.fork() and serves nothing itself; ${advice}`,
  );
}

function noAppError(file: string, exports: unknown, { uncaptured, others }: Capture, serve: ServeRule): StartupError {
  if (typeof serve === 'number' && others.length > 0) {
    const found = `listens on ${others.join(' and ')}, and not on port ${serve} with an http.Server`;
    return new StartupError(ExitCode.app, `the app ${file} ${found}; change --serve`);
  }
  if (uncaptured !== undefined) {
    const advice = 'mpserve serves plain HTTP/1.1: use an http.Server, and terminate TLS in front of mpserve';
    return new StartupError(ExitCode.app, `the app ${file} listens with ${uncaptured}; ${advice}`);
  }
  const found = `exports ${describeExports(exports)} and does not listen with an http.Server`;
  const usesMain = readText(file).includes('import.meta.main');
  const advice = usesMain
    ? 'mpserve cannot set import.meta.main: listen without it, or export the server'
    : `mpserve accepts ${ACCEPTED}`;
  return new StartupError(ExitCode.app, `the app ${file} ${found}; ${advice}`);
}
