// Runs `mpserve` to its end and keeps what it printed. For commands that end by themselves.
import { execFile } from 'node:child_process';
import path from 'node:path';

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

/** Kills it after 20 seconds, which then has code -1. */
export function mpserve(args: readonly string[], { cwd, env, node = [] }: Surroundings = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: 20_000, killSignal: 'SIGKILL' } as const;
    const child = execFile(process.execPath, [...node, bin, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}
