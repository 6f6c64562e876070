// To which session a request belongs (--sticky).
import type { IncomingMessage } from 'node:http';
import { type SessionKey, sessionKey, sessionOfRequest } from '../client/session.js';
import type { SessionRule } from '../client/session-rule.js';
import type { Config } from '../config/config.js';
import { clientNamer } from '../pipeline/client-namer.js';
import type { PipelineResponse } from '../pipeline/response.js';

export type SessionNamer = (req: IncomingMessage, res: PipelineResponse) => SessionKey | undefined;

/** By `ip`, clients are those that --trust-proxy lets proxies name: requests of many come on one connection. */
export function sessionNamer(rule: SessionRule, clients: Config['clients']): SessionNamer {
  if (rule.by !== 'ip') return ({ url = '', rawHeaders }) => sessionOfRequest(url, rawHeaders, rule);
  const name = clientNamer(clients);
  return (req, { clientConnection }) => {
    const client = clientConnection && name(req, clientConnection.client);
    return client === undefined || client === 'unix' || client === 'unknown' ? undefined : sessionKey(client);
  };
}
