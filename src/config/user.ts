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
    ...(user !== undefined && { uid: lookUp('user', user, ['id', '-u', '--', user], from.user) }),
    ...(group !== undefined
      ? { gid: lookUp('group', group, groupCommand(group), from.group) }
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
