// Formats the access line of a request. It has pino's format but is written without pino, which takes a worker 17 ms to
// load and three times as much CPU for each line (docs/decisions/0004-access-lines.md).
import type { ReportOf } from '../reports/report.js';

const infoLevel = 30; // as in pino

/** Where a request is served. */
export interface LineOrigin {
  readonly pid: number;
  readonly tid?: number | undefined;
  /** What its route matches. */
  readonly route?: string | undefined;
}

/** The fields that are the same in all access lines of one process or thread, and route. */
export function lineOrigin({ pid, tid = 0, route }: LineOrigin): string {
  const where = route === undefined ? '' : `,"route":${JSON.stringify(route)}`;
  return `"pid":${pid},"tid":${tid},"event":"request"${where}`;
}

/**
 * @param origin the result of `lineOrigin`
 * @param reqId without characters that JSON escapes, as `method`
 * @param status null if the client left before there was a response
 * @param bytes written to the connection; null if unknown
 * @param durationMs from the request to the end of the response
 * @param remote address of the client; null if unknown
 * @param cache what the cache has done with the request; absent without --cache
 */
export function accessLine(
  origin: string,
  reqId: string,
  method: string,
  url: string,
  status: number | null,
  bytes: number | null,
  durationMs: number,
  remote: string | null,
  cache?: string,
): string {
  return (
    `{"level":${infoLevel},"time":${Date.now()},${origin},"reqId":"${reqId}","method":"${method}",` +
    `"url":${JSON.stringify(url)},"status":${status},"bytes":${bytes},"durationMs":${milliseconds(durationMs)},` +
    `"remote":${remote === null ? null : `"${remote}"`}${cache === undefined ? '' : `,"cache":"${cache}"`}}\n`
  );
}

/** Formats with three decimals, in a third of the time that V8 takes for the shortest form of a fraction. */
function milliseconds(ms: number): string {
  const microseconds = Math.round(ms * 1000);
  return `${Math.floor(microseconds / 1000)}.${String(1000 + (microseconds % 1000)).slice(1)}`;
}

/** The line of a request whose worker was killed after it had sent the response and before it wrote the line. */
export function recoveredLine(
  { pid, tid, reqId, method, url, ageMs }: ReportOf<'request-ended'>,
  status: number,
): string {
  return accessLine(lineOrigin({ pid, tid }), escaped(reqId), escaped(method), url, status, null, ageMs, null);
}

/** Escapes text from shared memory, which the app may have overwritten. */
function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
