// The access line of a request whose worker was killed after it had sent the response and before it wrote the line.
import { now } from '../clock.js';
import type { ReportOf } from '../reports/report.js';
import type { AccessFormat } from './access-entry.js';
import { textOf } from './line-bytes.js';
import { lineOrigin } from './line-origin.js';

/** From shared memory, which the app may have overwritten: all formats escape what is text. */
export function recoveredLine(
  format: AccessFormat,
  { pid, tid, reqId, method, url, ageMs }: ReportOf<'request-ended'>,
  status: number,
): string {
  return textOf(format, {
    origin: lineOrigin(pid, tid),
    ...{ reqId, method, url, status },
    durationMs: ageMs,
    endedAt: now(),
    ...{ httpVersion: undefined, rawHeaders: [], bytes: null, headBytes: 0, remote: null },
    ...{ cache: undefined, slowBlockMs: undefined },
  });
}
