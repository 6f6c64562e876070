// A route to which requests are forwarded.
export interface Target {
  readonly match: string;
  readonly path: string;
  /** Of a connection on which its client asks for nothing; 0 is for ever (milliseconds). */
  readonly idleMs: number;
  readonly has: (path: string) => boolean;
}

/** An app can send what it likes; Node would not parse more than 16 KiB (bytes). */
export const maxResponseHead = 1024 ** 2;
