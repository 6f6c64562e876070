// Programs of other projects that tests run beside the server: from the path, or Debian's, which `.ci/run` unpacks below
// `.cache`. A test that needs one where there is none is skipped, and says so.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from './server.ts';

export interface Program {
  readonly command: string;
  /** Of this process, and where the libraries of an unpacked program are. */
  readonly env: NodeJS.ProcessEnv;
}

const cache = path.join(root, '.cache');
const folders: readonly string[] = ['usr/bin', 'usr/sbin'];
const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

/**
 * @param names of the same program, the best first
 * @param versionFlag with which the program prints something and ends with 0
 * @param neededBy ends the sentence that says what is skipped
 */
export function findProgram(names: readonly string[], versionFlag: string, neededBy: string): Program | undefined {
  const found = [...names.map(fromPath), ...names.flatMap(unpacked)].find((one) => runs(one, versionFlag));
  if (!found) console.warn(`SKIPPED: ${neededBy} need ${names[0]} (apt-get install it, or run .ci/run)`);
  return found;
}

function fromPath(command: string): Program {
  return { command, env: process.env };
}

function unpacked(name: string): readonly Program[] {
  const packages = existsSync(cache) ? readdirSync(cache) : [];
  return packages.flatMap((one) => {
    const libraries = path.join(cache, one, 'usr/lib', `${machine}-linux-gnu`);
    const env = { ...process.env, LD_LIBRARY_PATH: libraries };
    const commands = folders.map((folder) => path.join(cache, one, folder, name));
    return commands.filter((command) => existsSync(command)).map((command) => ({ command, env }));
  });
}

function runs({ command, env }: Program, versionFlag: string): boolean {
  try {
    execFileSync(command, [versionFlag], { env, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
