// The names of users and groups, as this system knows them. It asks `id` and `getent`, which ask whatever the system is
// set up to ask; a number needs neither.
import { execFileSync } from 'node:child_process';
import { platform } from 'node:process';
import { ExitCode, StartupError } from '../errors.js';
import { type Source, setting } from './source.js';

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Whom the workers are to be. Of a user without a group, its own.
 * @throws StartupError for one that is not there, or when this process may not become somebody else
 */
export function findOwner(user: Given, group: Given): Owner {
  const owner: Owner = {
    ...(user.name !== undefined && { uid: lookUp(user, 'user', 'id', ['-u', '--', user.name]) }),
    ...(group.name !== undefined
      ? { gid: lookUp(group, 'group', 'getent', ['group', group.name]) }
      : user.name !== undefined && { gid: lookUp(user, 'user', 'id', ['-g', '--', user.name]) }),
  };
  const isOther =
    (owner.uid ?? process.getuid?.()) !== process.getuid?.() ||
    (owner.gid ?? process.getgid?.()) !== process.getgid?.();
  if (isOther && process.getuid?.() !== 0) {
    const { source } = user.name === undefined ? group : user;
    throw wrong(`${setting(source)} needs a server that is started by root, or leave it out`);
  }
  return owner;
}

interface Given {
  readonly name: string | undefined;
  readonly source: Source;
}

function lookUp({ name = '', source }: Given, kind: string, program: string, args: readonly string[]): number {
  if (/^\d+$/.test(name) && kind === 'group') return Number(name);
  let answer = '';
  try {
    // macOS has no getent.
    const [command, ...rest] = program === 'getent' && platform === 'darwin' ? dscl(name) : [program, ...args];
    answer = execFileSync(command, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {} // it does not know it
  // `adm:x:4:syslog` or `PrimaryGroupID: 4` of a group, a number of a user.
  const id = /^(?:[^:]*:[^:]*:|PrimaryGroupID: )?(\d+)/.exec(answer)?.[1];
  if (id !== undefined) return Number(id);
  if (/^\d+$/.test(name)) return Number(name);
  throw wrong(`${setting(source)} names a ${kind} that this system does not know: '${name}'`);
}

function dscl(group: string): [string, ...string[]] {
  return ['dscl', '.', '-read', `/Groups/${group}`, 'PrimaryGroupID'];
}

function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
