// Runs an `mpserve` command that exits by itself, and returns its output.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { patience } from '../helpers/eventually.ts';

const bin = path.join(import.meta.dirname, '../../bin/mpserve.js');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Node's own options, before the script. */
  readonly node?: readonly string[];
}

/** Kills a command that takes too long; its code is then -1. */
export function mpserve(args: readonly string[], { cwd, env, node = [] }: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: patience, killSignal: 'SIGKILL' } as const;
    const child = execFile(process.execPath, [...node, bin, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
