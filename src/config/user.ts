// Resolves names of users and groups to numbers with `id` and `getent`, which use the name service of the system
// (files, LDAP, …). A number that they do not know is used as it is.
import { execFileSync } from 'node:child_process';
import { platform } from 'node:process';
import { configError } from '../errors.js';
import type { Config } from './config.js';
import type { Sources } from './load.js';
import { type Source, setting } from './source.js';

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * The uid and gid of the workers. Without `group`, the gid is the primary group of the user.
 * @throws StartupError for an unknown user or group, or if this process is not permitted to change its user or group
 */
export function findOwner({ user, group }: Config['processes'], from: Sources): Owner {
  const owner: Owner = {
    ...(user !== undefined && { uid: userId(user, from.user) }),
    ...(group !== undefined
      ? { gid: groupId(group, from.group) }
      : user !== undefined && { gid: lookUp('user', user, ['id', '-g', '--', user], from.user) }),
  };
  const isChange =
    (owner.uid ?? process.getuid?.()) !== process.getuid?.() ||
    (owner.gid ?? process.getgid?.()) !== process.getgid?.();
  if (isChange && process.getuid?.() !== 0) {
    const source = user === undefined ? from.group : from.user;
    throw configError(`${setting(source)} needs root: start the server as root, or remove the setting`);
  }
  return owner;
}

/**
 * The uid and gid of the Unix sockets; absent where the socket keeps those of this process.
 * @throws StartupError like `findOwner`; a process that is not root may give a socket to a group that it is in
 */
export function findSocketOwner({ listening, processes }: Config, from: Sources): Owner {
  const { socketOwner, socketGroup } = listening;
  const owner: Owner = {
    ...findOwner(processes, from),
    ...(socketOwner !== undefined && { uid: userId(socketOwner, from.socketOwner) }),
    ...(socketGroup !== undefined && { gid: groupId(socketGroup, from.socketGroup) }),
  };
  if (process.getuid?.() === 0) return owner;
  const { uid, gid } = owner;
  if (uid !== undefined && uid !== process.getuid?.()) {
    throw configError(`${setting(from.socketOwner)} needs root: start the server as root, or remove the setting`);
  }
  if (gid !== undefined && ![process.getgid?.(), ...(process.getgroups?.() ?? [])].includes(gid)) {
    const must = 'needs root, or a user who is in that group: start the server as such a user, or remove the setting';
    throw configError(`${setting(from.socketGroup)} ${must}`);
  }
  return owner;
}

function userId(user: string, source: Source): number {
  return lookUp('user', user, ['id', '-u', '--', user], source);
}

function groupId(group: string, source: Source): number {
  return lookUp('group', group, groupCommand(group), source);
}

function lookUp(kind: 'user' | 'group', name: string, [program = '', ...args]: readonly string[], source: Source) {
  if (/^\d+$/.test(name) && kind === 'group') return Number(name);
  let answer = '';
  try {
    answer = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {} // the name is unknown
  // For a group `adm:x:4:syslog` or `PrimaryGroupID: 4`; for a user a number.
  const id = /^(?:[^:]*:[^:]*:|PrimaryGroupID: )?(\d+)/.exec(answer)?.[1];
  if (id !== undefined) return Number(id);
  if (/^\d+$/.test(name)) return Number(name);
  throw configError(`${setting(source)} names an unknown ${kind}: '${name}'`);
}

function groupCommand(group: string): readonly string[] {
  // macOS has no getent.
  return platform === 'darwin'
    ? ['dscl', '.', '-read', `/Groups/${group}`, 'PrimaryGroupID']
    : ['getent', 'group', group];
}
