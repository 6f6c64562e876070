// Which of several servers of the app mpserve serves (--serve); the others are secondary servers.

/** `auto`, `first` or `last` of the servers that listen while the app loads, or the one on this port. */
export type ServeRule = 'auto' | 'first' | 'last' | number;

/** What a rule knows of a server that has begun to listen: its port, if it has one; 0 is any free port. */
export interface Listening {
  readonly port: number | undefined;
  /** Its port is that of `PORT`, or one on which mpserve listens. */
  readonly hasOurPort: boolean;
}

/** Whether the server may be the app's at all. */
export function mayServe(rule: ServeRule, { port }: Listening): boolean {
  return typeof rule !== 'number' || port === rule;
}

/** Whether it is the app's, whatever listens after it. */
export function isCertain(rule: ServeRule, { hasOurPort }: Listening): boolean {
  return typeof rule === 'number' || rule === 'first' || (rule === 'auto' && hasOurPort);
}

/**
 * Whether `next`, which listens after `current`, is the app's rather than that. By `auto` it is the one with the lower port:
 * servers for metrics, health and administration have higher ones (docs/decisions/0020-secondary-sockets.md).
 */
export function isPreferred(rule: ServeRule, next: Listening, current: Listening): boolean {
  if (rule === 'last') return true;
  return rule === 'auto' && (next.hasOurPort || rank(next) < rank(current));
}

/** After all ports come Unix sockets, and then servers on any free port. */
function rank({ port }: Listening): number {
  return port === undefined ? 65_536 : port || 65_537;
}
