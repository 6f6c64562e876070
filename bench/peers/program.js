// Finds the programs of the peers and asks them for their versions. Starts nothing that stays.
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

/** Servers are here, and a user's PATH on Debian lacks them. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin'];

/** @returns the path of the first of `names` that is in `$MPSERVE_PEERS`, on PATH or among the system's programs. */
export function find(...names) {
  const { MPSERVE_PEERS: own, PATH = '' } = process.env;
  const folders = [...PATH.split(path.delimiter), ...systemFolders].filter(Boolean);
  if (own) folders.unshift(path.resolve(own, 'node_modules/.bin'));
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isExecutable);
}

/** @returns what the first group of `pattern` matches in what a program says, undefined if there is no such program. */
export async function versionOf(program, option, pattern) {
  if (program === undefined) return undefined;
  // nginx says it on stderr.
  const { stdout, stderr } = await promisify(execFile)(program, [option]);
  return pattern.exec(stdout + stderr)?.[1];
}

/**
 * For programs of npm packages, which may do more than tell it when they are asked for their version: pm2 starts its
 * daemon.
 * @returns `{ version, modules }` of the package `name` that `program` is a link into; `modules` is the folder
 * `node_modules` in which it is
 */
export function npmPackage(program, name) {
  if (program === undefined) return undefined;
  const [before] = realpathSync(program).split(`${path.sep}node_modules${path.sep}${name}${path.sep}`);
  const modules = path.join(before, 'node_modules');
  const version = readVersion(path.join(modules, name));
  return version && { version, modules };
}

/** @returns the version of the npm package in `folder`, undefined if there is none. */
export function readVersion(folder) {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version;
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** `PATH` with which the scripts of npm packages are run by the Node that runs this. */
export const pathWithThisNode = [path.dirname(process.execPath), process.env.PATH].join(path.delimiter);

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
