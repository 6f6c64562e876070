// Formats an access line as JSON. It has pino's format but is written without pino, which takes a worker 17 ms to load and
// three times as much CPU for each line (docs/decisions/0004-access-lines.md).
import type { AccessFormat } from './access-entry.js';
import type { Redaction } from './redact.js';
import { thousandths } from './thousandths.js';
import { traceOf } from './trace-context.js';

const infoLevel = 30; // as in pino

export function jsonFormat({ text }: Redaction): AccessFormat {
  return (entry, to) => {
    const { origin, reqId, method, url, status, bytes, durationMs, remote, cache, slowBlockMs, rawHeaders } = entry;
    const trace = traceOf(rawHeaders);
    let line =
      `{"level":${infoLevel},"time":${Date.now()},${origin.fields},"reqId":${quoted(reqId)},"method":${quoted(method)},` +
      `"url":${quoted(text(url))},"status":${status},"bytes":${bytes},"durationMs":${thousandths(durationMs)},` +
      `"remote":${remote === null ? null : `"${remote}"`}`;
    if (cache !== undefined) line += `,"cache":"${cache}"`;
    if (slowBlockMs !== undefined) line += `,"slow":true,"blockedMs":${slowBlockMs}`;
    if (trace !== undefined) line += `,"traceId":"${trace.traceId}","spanId":"${trace.spanId}"`;
    to.text(`${line}}\n`);
  };
}

const plainText = /^[ !#-[\]-~]*$/;

/** As JSON.stringify, in less time for plain text. It leaves control characters beyond ASCII and line separators as they are. */
function quoted(text: string): string {
  if (plainText.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
