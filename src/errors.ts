// The errors that cross a boundary. The operator can act on a `StartupError`, the client on an `HttpError`. Any other error
// is a bug of the app (a 500) or of mpserve (the process exits).

/** Exit codes of a failed start, which `docs/architecture.md` lists. */
export const ExitCode = {
  /** An invalid option, environment variable or configuration file. */
  config: 2,
  /** Cannot listen on the address, or cannot start a worker. */
  boot: 3,
  /** The user's app failed to load. */
  app: 4,
  /** Workers kept dying before any of them had lived for long enough. */
  crashLoop: 5,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * The server cannot start. `message` is one line for the operator: the setting, where its value came from, and what to do.
 * It is printed on stderr after `mpserve: `.
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

/** @returns the error for an invalid option, environment variable or configuration file */
export function configError(message: string, cause?: unknown): StartupError {
  return new StartupError(ExitCode.config, message, cause === undefined ? undefined : { cause });
}

/** Answers the request with `status` (400 to 599) instead of the app. The client does not see the message. */
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

/** Any error, in a form that a worker can send to the supervisor. */
export interface ErrorRecord {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
}

/** Never throws: an app can throw an object without a prototype, or an error whose properties are anything, or throw. */
export function errorRecord(error: unknown): ErrorRecord {
  try {
    if (error instanceof Error) {
      const { name, message, stack } = error;
      return { type: String(name), message: String(message), stack: String(stack ?? `${name}: ${message}`) };
    }
    const message = String(error);
    return { type: typeof error, message, stack: message };
  } catch {
    const message = 'a value that cannot be shown as text';
    return { type: typeof error, message, stack: message };
  }
}
