// Our copies of connections that worker processes have taken. A worker may die before it reads from one: as long as nothing
// has been read, and not longer than a hand-over should take, another worker can serve it.
import { now } from '../clock.js';
import type { IncomingConnection } from './incoming.js';

/** For how long a connection is kept on which nothing comes (milliseconds). */
const keepMs = 1000;
const lookEveryMs = 100;

/** Until when each is kept. */
const kept = new Map<IncomingConnection, number>();

/** Closes our copy when the worker has read from it, or that takes too long. Others may close it before. */
export function keepUnread(connection: IncomingConnection): void {
  if (kept.size === 0) lookLater();
  kept.set(connection, now() + keepMs);
}

/** The worker has died. @returns whether it had not read from the connection, which is the caller's again; else it is closed */
export function takeBack(connection: IncomingConnection): boolean {
  kept.delete(connection);
  const { isUnread } = connection;
  if (!isUnread) connection.close();
  return isUnread;
}

function lookLater(): void {
  setTimeout(look, lookEveryMs).unref();
}

function look(): void {
  for (const [connection, until] of kept) {
    if (now() < until && connection.isUnread) continue;
    connection.close();
    kept.delete(connection);
  }
  if (kept.size > 0) lookLater();
}
