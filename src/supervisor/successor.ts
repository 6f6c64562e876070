// What a server leaves to the one that takes its place at an upgrade: its sockets, and what it was told since its start.
// The old one starts the new one, as it was started itself, from what is installed now; until that serves, nothing ends.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Overrides } from '../config/load.js';
import { ExitCode, StartupError } from '../errors.js';
import type { MigrationChannel } from '../migration/channel.js';
import { closeDescriptor, closeOnExec } from '../os/descriptor.js';
import type { Listener } from './listener.js';

/** Plain data; the descriptors belong to whoever has it. */
export interface Heritage {
  readonly listeners: readonly Pick<Listener, 'fd' | 'url' | 'address' | 'path'>[];
  readonly migrationChannel: MigrationChannel | undefined;
  readonly control: Pick<Listener, 'fd' | 'url' | 'address' | 'path'> | undefined;
  readonly operator: Overrides;
  /** Of the workers that serve now. */
  readonly generation: number;
}

/** What the heir says: that it serves, or why it cannot. */
type LastWord = { readonly pid: number; readonly version: string } | { readonly reason: string };

/** Not MPSERVE_…, which are options. */
const variable = '_MPSERVE_HERITAGE';
/** After the standard streams and the channel. */
const firstPlace = 4;

const written = process.env[variable];
const isHeir = written !== undefined && process.send !== undefined;
delete process.env[variable]; // it is not for the app

/** Takes what was left to this process; undefined for one that was not started by another server. */
export function inherit(): Heritage | undefined {
  if (!isHeir) return undefined;
  // An older server calls its channel a relay, and sends other messages: its connections end in order.
  const { relay, ...heritage }: Heritage & { relay?: Record<string, number> } = JSON.parse(written);
  for (const fd of Object.values(relay ?? {})) closeDescriptor(fd);
  return keptOpen(heritage);
}

/** Not for children, unless they are given them. */
function keptOpen(heritage: Heritage): Heritage {
  for (const fd of descriptorsOf(heritage)) closeOnExec(fd);
  return heritage;
}

/** As the heir: it serves, so the other may go. @param onAlone called when that has gone */
export function announceHeir(onAlone: () => void): void {
  if (process.connected) process.once('disconnect', onAlone);
  else onAlone(); // it has died in the meantime
  say({ pid: process.pid, version: process.version });
  process.channel?.unref();
}

/** As the heir, if it is one: it cannot serve. */
export function declineHeritage(reason: string): void {
  if (isHeir) say({ reason });
}

function say(word: LastWord): void {
  if (process.connected) process.send?.(word, () => {}); // an error: whom it is for has gone
}

/** A server that serves in our place. */
export interface Heir {
  readonly pid: number;
  /** Of its Node. */
  readonly version: string;
}

/**
 * Starts the server that is installed now, with our sockets. Resolves when it serves.
 * @param env in place of ours. @param deadlineMs within which it must. @param end of this server, which ends the attempt
 * @throws StartupError when it does not; it has ended then
 */
export async function bequeath(
  heritage: Heritage,
  env: NodeJS.ProcessEnv,
  deadlineMs: number,
  end: AbortSignal,
): Promise<Heir> {
  const fds = descriptorsOf(heritage);
  const place = (fd: number): number => firstPlace + fds.indexOf(fd);
  const { listeners, control, migrationChannel } = heritage;
  const left: Heritage = {
    ...heritage,
    listeners: listeners.map((listener) => ({ ...listener, fd: place(listener.fd) })),
    control: control && { ...control, fd: place(control.fd) },
    migrationChannel:
      migrationChannel &&
      (Object.fromEntries(
        Object.entries(migrationChannel).map(([name, fd]) => [name, place(fd)]),
      ) as unknown as MigrationChannel),
  };
  // By the names that we were started by: they may stand for another Node and another mpserve now.
  const child = spawn(process.argv0, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...env, [variable]: JSON.stringify(left) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...fds],
  });
  const word = await lastWord(child, deadlineMs, end);
  if ('pid' in word) {
    child.unref();
    child.channel?.unref(); // it hears of our end by it
    return word;
  }
  child.kill('SIGKILL'); // its workers go with it
  throw new StartupError(ExitCode.boot, `the new server could not start, and the old one goes on: ${word.reason}`);
}

function lastWord(child: ChildProcess, deadlineMs: number, end: AbortSignal): Promise<LastWord> {
  return new Promise((said) => {
    const late = setTimeout(() => said({ reason: `it did not serve within ${deadlineMs} ms` }), deadlineMs);
    const say = (word: LastWord): void => {
      clearTimeout(late);
      said(word);
    };
    end.addEventListener('abort', () => say({ reason: 'the server is stopping' }));
    child.once('message', (word) => say(word as LastWord));
    child.once('error', ({ message }) => say({ reason: `${process.argv0} cannot be run: ${message}` }));
    child.once('exit', (code, signal) => {
      const died = () => say({ reason: `it exited with ${signal ?? `code ${code}`}` });
      // Its last word may come after its end.
      if (child.connected) child.once('disconnect', died);
      else died();
    });
  });
}

function descriptorsOf({ listeners, migrationChannel, control }: Heritage): number[] {
  const listening = [...listeners, ...(control ? [control] : [])].map(({ fd }) => fd);
  return [...listening, ...Object.values<number>({ ...migrationChannel })];
}
