// The messages between a server that starts and the process that waits until it is ready: the command with --daemon, or a
// program that called `serve`. They go over Node's IPC channel.

/** Set in the environment of the server, to a `Starter`. Not named MPSERVE_…, because those variables are options. */
export const starterVariable = '_MPSERVE_STARTER';

/** `command`: exits when the server is ready. `program`: the server stops when the program exits. */
export type Starter = 'command' | 'program';

/** The server is ready. */
export interface Started {
  readonly urls: readonly string[];
  /** Paths; relative ones to the directory of the starter. */
  readonly control: string | undefined;
  readonly logFile: string | undefined;
}

/** Sent to a program; a command gets the error on stderr. */
export interface NotStarted {
  readonly reason: string;
  readonly exitCode: number;
}
