// Sees which sessions begin in responses (--sticky), so that their next connections come to this worker: by a cookie that is
// set, or by a member of the JSON in the first piece of a body.
import { grantedCookie, grantedMember, hasParameter, type SessionKey } from '../client/session.js';
import type { SessionRule } from '../client/session-rule.js';
import { isHeader } from './header-name.js';
import type { Headers, PipelineResponse } from './response.js';
import type { Stage } from './stage.js';

/** A body names its session within so many bytes, or not at all. */
const maxBodyBytes = 1024;

const setCookie = 'set-cookie';

type Write = (this: PipelineResponse, chunk?: unknown, ...rest: unknown[]) => unknown;

/** @param onBegun is told of each session that begins, or that a connection has not been placed by */
export function watchSessions(rule: SessionRule, onBegun: (session: SessionKey) => void): Stage[] {
  if (rule.by === 'ip') return []; // known before the first request
  const { by, name } = rule;
  const begun = ({ clientConnection: connection }: PipelineResponse, session: SessionKey | undefined): void => {
    if (session === undefined || !connection || connection.session === session) return;
    connection.session = session;
    onBegun(session);
  };
  const watchCookies = (res: PipelineResponse): void => {
    res.onHeaders = (headers) => begun(res, grantedCookie(setCookieFields(res, headers), name));
  };
  const watchBody = (res: PipelineResponse): void => {
    let isFirst = true;
    for (const method of ['write', 'end'] as const) {
      const inner = res[method] as Write;
      // Stays where it is: the app may have put a function of its own around this one.
      (res as unknown as Record<typeof method, Write>)[method] = function (chunk, ...rest) {
        if (isFirst) begun(this, grantedMember(beginningOf(chunk), name));
        isFirst = false;
        return inner.call(this, chunk, ...rest);
      };
    }
  };
  return [
    (next) => (req, res, reqId) => {
      if (by === 'cookie') watchCookies(res);
      else if (!hasParameter(req.url ?? '', name)) watchBody(res);
      return next(req, res, reqId);
    },
  ];
}

function setCookieFields(res: PipelineResponse, headers: Headers | null | undefined): readonly string[] {
  const fields: unknown[] = [res.getHeader(setCookie)]; // where headers were stored, `headers` are the same ones
  const add = (name: unknown, value: unknown) => isHeader(String(name), setCookie) && fields.push(value);
  if (fields[0] === undefined && headers) {
    if (!Array.isArray(headers)) for (const [name, value] of Object.entries(headers)) add(name, value);
    else if (Array.isArray(headers[0])) for (const [name, value] of headers) add(name, value);
    else for (let i = 0; i < headers.length; i += 2) add(headers[i], headers[i + 1]);
  }
  return fields.flat().map(String);
}

function beginningOf(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk.slice(0, maxBodyBytes);
  return chunk instanceof Uint8Array
    ? Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.length, maxBodyBytes)).toString('latin1')
    : '';
}
