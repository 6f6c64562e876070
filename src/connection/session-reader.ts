// Finds out to which session a new connection belongs (--sticky), by its client's address or by the head of its first
// request, which stays in the kernel: the connection is handed over unread.
import { requestedSession, sessionKey } from '../client/session.js';
import type { SessionRule } from '../client/session-rule.js';
import { deferAccept } from '../os/listening-socket.js';
import { awaitFirstBytes, giveUpWaiting, maxFirstBytes } from './first-bytes.js';
import type { IncomingConnection } from './incoming.js';

/** Browsers open connections ahead. A connection on which nothing has come by then is placed without a session (milliseconds). */
const headTimeoutMs = 30_000;

/** So a connection is accepted with what has to be looked at, on Linux. @param listen descriptors of listening sockets */
export function awaitHeads(rule: SessionRule | undefined, listen: readonly number[]): void {
  const isByHead = rule !== undefined && rule.by !== 'ip';
  for (const fd of listen) deferAccept(fd, isByHead ? headTimeoutMs / 1000 : 0);
}

export class SessionReader {
  readonly #rule: SessionRule;
  #timeoutMs = headTimeoutMs;

  constructor(rule: SessionRule) {
    this.#rule = rule;
  }

  /** Notes the session of the connection, if it has one. @returns false when its client has closed it */
  async read(connection: IncomingConnection): Promise<boolean> {
    const rule = this.#rule;
    if (rule.by === 'ip') {
      const { client } = connection;
      if (typeof client === 'object') connection.belongTo(sessionKey(client.host));
      return true;
    }
    const { descriptor: fd } = connection;
    if (fd === undefined) return false;
    const recognise = (head: Buffer) => {
      const session = requestedSession(head, rule);
      if (session !== 'partial') return session;
      return head.length >= maxFirstBytes ? 'none' : undefined;
    };
    const session = await awaitFirstBytes(fd, this.#timeoutMs, recognise, this);
    if (session === 'closed') {
      connection.close();
      return false;
    }
    if (session !== 'none' && session !== 'late') connection.belongTo(session);
    return true;
  }

  /** Others wait to be accepted: connections on which nothing comes are placed now, where they can be shed. */
  shed(): void {
    giveUpWaiting(this);
  }

  /** From now on connections whose head is not there are placed without a session. */
  close(): void {
    this.#timeoutMs = 0;
    giveUpWaiting(this);
  }
}
