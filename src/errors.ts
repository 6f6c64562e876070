// The errors that cross a boundary, sorted by who can act on them. `StartupError`: the operator;
// `HttpError`: the client. Anything else is a fault of the app (a 500) or of ours (the process dies).

/** What a failed start exits with; `docs/architecture.md` lists them. 0 and 130 are not failures to start. */
export const ExitCode = {
  /** A flag, a variable or the configuration file. */
  config: 2,
  /** The address cannot be listened on, or a worker could not be started. */
  boot: 3,
  /** The user's app failed to load. */
  app: 4,
  /** Workers kept dying before any of them was ready. */
  crashLoop: 5,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * The server cannot start. `message` is one line for the operator: it names the thing, where its value came
 * from, and what to do. It is printed on stderr after `mpserve: `.
 */
export class StartupError extends Error {
  override readonly name = 'StartupError';
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A request that is answered with `status` (400 to 599) instead of by the app. The message stays in the server. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  constructor(
    readonly status: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
