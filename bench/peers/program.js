// Finds the programs of the peers and their versions. Leaves no process running.
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

/** Servers are installed here; on Debian a user's PATH does not contain these folders. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin'];

/** @returns the path of the first of `names` found in `$MPSERVE_PEERS`, on PATH or in the system folders */
export function find(...names) {
  const { MPSERVE_PEERS: own, PATH = '' } = process.env;
  const folders = [...PATH.split(path.delimiter), ...systemFolders].filter(Boolean);
  if (own) folders.unshift(path.resolve(own, 'node_modules/.bin'));
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isExecutable);
}

/** @returns the first group of `pattern` in a program's output with `option`; undefined if the program does not exist */
export async function versionOf(program, option, pattern) {
  if (program === undefined) return undefined;
  // nginx prints its version on stderr.
  const { stdout, stderr } = await promisify(execFile)(program, [option]);
  return pattern.exec(stdout + stderr)?.[1];
}

/**
 * Reads the version of a program that an npm package installed, without running it: `pm2 --version` would start a daemon.
 * @returns the `version` of the package `name` that `program` is a link into, and `modules`, its `node_modules` folder
 */
export function npmPackage(program, name) {
  if (program === undefined) return undefined;
  const [before] = realpathSync(program).split(`${path.sep}node_modules${path.sep}${name}${path.sep}`);
  const modules = path.join(before, 'node_modules');
  const version = readVersion(path.join(modules, name));
  return version && { version, modules };
}

/** @returns the version of the npm package in `folder`; undefined if there is none */
export function readVersion(folder) {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version;
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** A `PATH` with which the scripts of npm packages run with the current Node. */
export const pathWithThisNode = [path.dirname(process.execPath), process.env.PATH].join(path.delimiter);

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
