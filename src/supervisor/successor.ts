// An upgrade: the old server starts its successor, which inherits the sockets and the settings that operators have
// changed. The old server keeps serving until the successor reports that it is ready.
import { type ChildProcess, spawn } from 'node:child_process';
import { fstatSync, readSync, writeFileSync } from 'node:fs';
import type { HistoryItems } from '../admin/history.js';
import type { Overrides } from '../config/load.js';
import { ExitCode, StartupError } from '../errors.js';
import type { MigrationChannel } from '../migration/channel.js';
import { closeDescriptor, closeOnExec } from '../os/descriptor.js';
import { createSharedMemory } from '../os/shared-memory.js';
import type { InheritedCounts } from './counted-memory.js';
import type { InheritedListener } from './listener.js';
import type { InheritedRoute } from './monitoring.js';
import type { PoolSize } from './pool-size.js';
import type { InheritedSecondary } from './secondary-listeners.js';

/** What a successor goes on with. Other versions of mpserve read it, so fields keep their names. */
export interface InheritedState {
  readonly listeners: readonly InheritedListener[];
  readonly migrationChannel: MigrationChannel | undefined;
  readonly control: InheritedListener | undefined;
  /** The sockets of the app's secondary servers; versions from before them send none. */
  readonly secondary?: readonly InheritedSecondary[];
  /** Settings that operators have changed since the start. */
  readonly operator: Overrides;
  /** Its workers; versions from before it send none. */
  readonly pool?: PoolSize;
  /** Of the old server's workers. */
  readonly generation: number;
  /** With --admin; versions from before it send neither. */
  readonly admin?: InheritedListener | undefined;
  readonly counts?: InheritedCounts | undefined;
  readonly routes?: readonly InheritedRoute[] | undefined;
  readonly history?: Partial<HistoryItems> | undefined;
}

/** The JSON in the environment: the history is in memory with this descriptor, as a variable may have 128 KiB only. */
type Passed = Omit<InheritedState, 'history'> & { readonly historyFd?: number | undefined };

/** The one message of the successor: it is ready, or it cannot start. Other versions of mpserve read it. */
type StartResult = Successor | { readonly reason: string };

/** A successor that is ready. */
export interface Successor {
  readonly pid: number;
  /** Of its Node. */
  readonly version: string;
}

/** Not named MPSERVE_…, because those variables are options. Other versions of mpserve use the same name. */
const variable = '_MPSERVE_HERITAGE';
/** In the successor, after stdin, stdout, stderr and the IPC channel. */
const firstInheritedFd = 4;

const inheritedJson = process.env[variable];
const isSuccessor = inheritedJson !== undefined && process.send !== undefined;
delete process.env[variable]; // the app must not inherit it

/** In the successor: the state of the old server. In every other process: undefined. */
export function inheritState(): InheritedState | undefined {
  if (!isSuccessor) return undefined;
  // A version from before the migration channel sends `relay` and uses another protocol: its connections do not
  // migrate.
  const { relay, historyFd, ...state }: Passed & { relay?: Record<string, number> } = JSON.parse(inheritedJson);
  for (const fd of Object.values(relay ?? {})) closeDescriptor(fd);
  for (const fd of descriptorsOf(state)) closeOnExec(fd); // workers get the descriptors that they need by name
  return historyFd === undefined ? state : { ...state, history: takeFromMemory(historyFd) as Partial<HistoryItems> };
}

/** In the successor: reports that it is ready. @param onExit called when the old server has exited */
export function reportReady(onExit: () => void): void {
  if (process.connected) process.once('disconnect', onExit);
  else onExit();
  report({ pid: process.pid, version: process.version });
  process.channel?.unref();
}

/** In the successor: reports that it cannot start. In every other process: does nothing. */
export function reportFailedStart(reason: string): void {
  if (isSuccessor) report({ reason });
}

function report(message: StartResult): void {
  if (process.connected) process.send?.(message, () => {}); // an error means that the old server has exited
}

/**
 * Starts the installed version of mpserve as the successor of this server, and waits until it is ready.
 * @param env of the successor
 * @param timeoutMs after which the successor is killed
 * @param signal kills it earlier
 * @throws StartupError if it does not become ready; its processes have been killed then
 */
export async function startSuccessor(
  state: InheritedState,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Successor> {
  const { history, ...others } = state;
  const historyFd = history && inMemory(history);
  const fds = [...descriptorsOf(others), ...(historyFd === undefined ? [] : [historyFd])];
  const inheritedFd = (fd: number): number => firstInheritedFd + fds.indexOf(fd);
  const inherit = (listener: InheritedListener): InheritedListener => ({
    ...listener,
    fd: inheritedFd(listener.fd),
    queues: queuesOf(listener).map(inheritedFd),
  });
  const { listeners, control, migrationChannel, secondary = [], admin, counts, routes = [] } = others;
  const passed: Passed = {
    ...others,
    historyFd: historyFd && inheritedFd(historyFd),
    listeners: listeners.map(inherit),
    control: control && inherit(control),
    admin: admin && inherit(admin),
    counts: counts && { ...counts, fd: inheritedFd(counts.fd) },
    routes: routes.map((route) => ({ ...route, fd: inheritedFd(route.fd) })),
    secondary: secondary.map((socket) => ({ ...socket, fd: inheritedFd(socket.fd) })),
    migrationChannel:
      migrationChannel &&
      (Object.fromEntries(
        Object.entries(migrationChannel).map(([name, fd]) => [name, inheritedFd(fd)]),
      ) as unknown as MigrationChannel),
  };
  // argv0 and the script's path, not what they resolved to: they name the versions that are installed now.
  const child = spawn(process.argv0, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...env, [variable]: JSON.stringify(passed) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fds],
  });
  if (historyFd !== undefined) closeDescriptor(historyFd); // the successor has its own
  const result = await firstReport(child, timeoutMs, signal);
  if ('pid' in result) {
    child.unref();
    child.channel?.unref(); // stays open: its end tells the successor that this server has exited
    return result;
  }
  child.kill('SIGKILL'); // its workers exit with it
  throw new StartupError(
    ExitCode.boot,
    `the new server failed to start; the old server keeps serving: ${result.reason}`,
  );
}

function firstReport(child: ChildProcess, timeoutMs: number, signal: AbortSignal): Promise<StartResult> {
  return new Promise((resolve) => {
    const timeout = setTimeout(() => settle({ reason: `it was not ready within ${timeoutMs} ms` }), timeoutMs);
    const settle = (message: StartResult): void => {
      clearTimeout(timeout);
      resolve(message);
    };
    signal.addEventListener('abort', () => settle({ reason: 'the old server is stopping' }));
    child.once('message', (message) => settle(message as StartResult));
    child.once('error', ({ message }) => settle({ reason: `cannot run ${process.argv0}: ${message}` }));
    child.once('exit', (code, signalName) => {
      const exited = () => settle({ reason: `it exited with ${signalName ?? `code ${code}`}` });
      // 'exit' can come before the last message.
      if (child.connected) child.once('disconnect', exited);
      else exited();
    });
  });
}

function descriptorsOf(state: Omit<InheritedState, 'history'>): number[] {
  const { listeners, migrationChannel, control, admin, counts, routes = [], secondary = [] } = state;
  const others = [control, admin, counts, ...routes, ...secondary].flatMap((one) => (one ? [one.fd] : []));
  return [...listeners.flatMap(queuesOf), ...others, ...Object.values<number>({ ...migrationChannel })];
}

/** The first is its `fd`. */
function queuesOf({ fd, queues = [fd] }: InheritedListener): readonly number[] {
  return queues;
}

/** @returns a descriptor of the value as JSON, which the caller owns. @throws SystemCallError (EMFILE) */
function inMemory(value: unknown): number {
  const json = Buffer.from(JSON.stringify(value));
  const fd = createSharedMemory(json.length);
  writeFileSync(fd, json);
  return fd;
}

/** What `inMemory` has written; closes `fd`, whose position is at its end. */
function takeFromMemory(fd: number): unknown {
  const json = Buffer.alloc(fstatSync(fd).size);
  readSync(fd, json, 0, json.length, 0);
  closeDescriptor(fd);
  return JSON.parse(json.toString());
}
