// Runs `mpserve` to its end and keeps what it printed. For commands that end by themselves.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { patience } from '../helpers/eventually.ts';

const bin = path.join(import.meta.dirname, '../../bin/mpserve.js');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Options of node, before the script. */
  readonly node?: readonly string[];
}

/** One that does not end is killed, and then has the code -1. */
export function mpserve(args: readonly string[], { cwd, env, node = [] }: Surroundings = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: patience, killSignal: 'SIGKILL' } as const;
    const child = execFile(process.execPath, [...node, bin, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
