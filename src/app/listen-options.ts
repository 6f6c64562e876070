// The arguments of `net.Server#listen()`, in its many forms (https://nodejs.org/api/net.html#serverlisten), as options.
// Checks nothing: where they make no sense, Node's own `listen()` says so.

import type { Server } from 'node:net';
import path from 'node:path';

export type Listen = (this: Server, ...args: unknown[]) => Server;

export interface ListenOptions {
  readonly port?: unknown;
  readonly host?: unknown;
  readonly path?: unknown;
  readonly backlog?: unknown;
  readonly fd?: unknown;
  readonly _handle?: unknown;
  readonly handle?: unknown;
  readonly exclusive?: unknown;
  readonly reusePort?: unknown;
  readonly ipv6Only?: unknown;
  readonly readableAll?: unknown;
  readonly writableAll?: unknown;
  readonly signal?: AbortSignal;
}

export function listenOptions(args: readonly unknown[]): ListenOptions {
  const [first, second, third] = args;
  const backlog = [second, third].find((one) => Number(one) > 0);
  if (typeof first === 'object' && first !== null) return { backlog, ...first };
  if (typeof first === 'string' && !(Number(first) >= 0)) return { path: first, backlog };
  const port = first === null || first === undefined || typeof first === 'function' ? 0 : first;
  return { port, backlog, ...(typeof second === 'string' && { host: second }) };
}

/** The port, if it is a valid one: 0 is any. */
export function portIn({ port, fd, path: file }: ListenOptions): number | undefined {
  if (fd !== undefined || (port === undefined && file !== undefined)) return undefined;
  if (port === undefined || port === null) return 0;
  const number = typeof port === 'string' && port.trim() === '' ? Number.NaN : Number(port);
  return Number.isInteger(number) && number >= 0 && number <= 65_535 ? number : undefined;
}

/** The path of a Unix socket; undefined for an abstract one, which has no file. */
export function pathIn(options: ListenOptions): string | undefined {
  const { path: file, port } = options;
  const isPath = port === undefined && typeof file === 'string' && file !== '' && !file.includes('\0');
  return isPath ? path.resolve(file) : undefined;
}

/** For a message: `port 9464`, `a Unix socket …`. */
export function describeAddress(options: ListenOptions): string {
  const file = pathIn(options);
  const port = portIn(options);
  if (file !== undefined) return `unix:${file}`;
  return port ? `port ${port}` : 'any free port';
}

/** The callback, and the signal that closes the server, as Node attaches them. */
export function attach(server: Server, args: readonly unknown[]): void {
  const { signal } = listenOptions(args);
  const callback = args.at(-1);
  if (typeof callback === 'function') server.once('listening', callback as () => void);
  if (signal?.aborted) process.nextTick(() => server.close());
  else signal?.addEventListener('abort', () => server.close(), { once: true });
}
