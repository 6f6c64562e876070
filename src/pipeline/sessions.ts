// Sees which sessions begin in responses (--sticky), so that their next connections, or requests, come to the same worker: by
// a cookie or a header field that is set, or by a member of the JSON in the first piece of a body.
import { grantedCookie, grantedMember, hasParameter, type SessionKey, sessionKey } from '../client/session.js';
import type { NamedSessionRule, SessionRule } from '../client/session-rule.js';
import { isHeader } from '../http/header.js';
import type { Headers, PipelineResponse } from './response.js';
import type { Stage } from './stage.js';

/** A body names its session within so many bytes, or not at all. */
const maxBodyBytes = 1024;

const setCookie = 'set-cookie';

type Write = (this: PipelineResponse, chunk?: unknown, ...rest: unknown[]) => unknown;

export type OnSession = (session: SessionKey, res: PipelineResponse) => void;

/**
 * @param onBegun is told of each session that begins, or that a connection has not been placed by
 * @param isByRequest each request is placed by itself, not its connection
 */
export function watchSessions(rule: SessionRule, onBegun: OnSession, isByRequest: boolean): Stage[] {
  if (rule.by === 'ip') return []; // known before the first request
  const { by, name } = rule;
  const begun = (res: PipelineResponse, session: SessionKey | undefined): void => {
    const { clientConnection: connection } = res;
    if (session === undefined || !connection || (!isByRequest && connection.session === session)) return;
    if (!isByRequest) connection.session = session;
    onBegun(session, res);
  };
  const watchFields = (res: PipelineResponse): void => {
    res.onHeaders = (headers) => begun(res, granted(res, headers, rule));
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
      if (by !== 'query') watchFields(res);
      else if (!hasParameter(req.url ?? '', name)) watchBody(res);
      return next(req, res, reqId);
    },
  ];
}

function granted(
  res: PipelineResponse,
  headers: Headers | null | undefined,
  { by, name }: NamedSessionRule,
): SessionKey | undefined {
  if (by === 'cookie') return grantedCookie(fieldsOf(res, headers, setCookie), name);
  const value = fieldsOf(res, headers, name.toLowerCase())[0]?.trim();
  return value ? sessionKey(value) : undefined;
}

/** The values of all fields of this name. @param wanted in lower case */
function fieldsOf(res: PipelineResponse, headers: Headers | null | undefined, wanted: string): readonly string[] {
  const fields: unknown[] = [res.getHeader(wanted)]; // where headers were stored, `headers` are the same ones
  const add = (name: unknown, value: unknown) => isHeader(String(name), wanted) && fields.push(value);
  if (fields[0] === undefined && headers) {
    if (!Array.isArray(headers)) for (const [name, value] of Object.entries(headers)) add(name, value);
    else if (Array.isArray(headers[0])) for (const [name, value] of headers) add(name, value);
    else for (let i = 0; i < headers.length; i += 2) add(headers[i], headers[i + 1]);
  }
  return fields.flat().flatMap((field) => (field === undefined ? [] : String(field)));
}

function beginningOf(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk.slice(0, maxBodyBytes);
  return chunk instanceof Uint8Array
    ? Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.length, maxBodyBytes)).toString('latin1')
    : '';
}
