// The line of a request. It has the shape of pino's but is put together here: pino costs a worker 17 ms at its start, and
// three times as much CPU for each line (docs/decisions/0004-access-lines.md).
import type { ServerEvent } from '../events.js';

const info = 30; // pino's level

/** What all lines of one event loop begin with. */
export function lineOrigin({ pid, tid = 0 }: { readonly pid: number; readonly tid?: number | undefined }): string {
  return `"pid":${pid},"tid":${tid},"event":"request"`;
}

/**
 * @param origin of `lineOrigin`
 * @param reqId without characters that JSON escapes
 * @param bytes that were written to the connection; null when nobody knows
 * @param took milliseconds
 * @param remote an address; null when nobody knows
 */
export function accessLine(
  origin: string,
  reqId: string,
  method: string | undefined,
  url: string | undefined,
  status: number,
  bytes: number | null,
  took: number,
  remote: string | null,
): string {
  return (
    `{"level":${info},"time":${Date.now()},${origin},"reqId":"${reqId}","method":"${method}",` +
    `"url":${JSON.stringify(url)},"status":${status},"bytes":${bytes},"durationMs":${milliseconds(took)},` +
    `"remote":${remote === null ? null : `"${remote}"`}}\n`
  );
}

/** With three digits, which takes V8 a third of the time that the shortest form of a fraction does. */
function milliseconds(took: number): string {
  const microseconds = Math.round(took * 1000);
  return `${Math.floor(microseconds / 1000)}.${String(1000 + (microseconds % 1000)).slice(1)}`;
}

/** Of a request whose worker was ended when the client had its answer, but the log no line. */
export function recoveredLine({ pid = 0, tid, reqId, method, url, status, ageMs }: Recovered): string {
  return accessLine(lineOrigin({ pid, tid }), escaped(reqId), escaped(method), url, status, null, ageMs, null);
}

type Recovered = Extract<ServerEvent, { event: 'request' }>;

/** It comes out of memory in which the app may have written. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
