// A route to which requests are forwarded.
export interface Target {
  readonly match: string;
  readonly path: string;
  readonly has: (path: string) => boolean;
}
