// The header traceparent (W3C Trace Context, section 3.2): the trace that a request is part of. It is read for the access
// log; the app gets the header as it is. A request without one gets none: mpserve records no spans, so it begins no trace.
import { isHeader } from '../http/header.js';

export interface TraceContext {
  readonly traceId: string;
  /** Of the caller's span, the parent of those that the app begins. */
  readonly spanId: string;
}

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const name = 'traceparent';

/** @param rawHeaders names and values in turn. @returns undefined without a valid one, or with several */
export function traceOf(rawHeaders: readonly string[]): TraceContext | undefined {
  let value: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!isHeader(rawHeaders[i] as string, name)) continue;
    if (value !== undefined) return undefined;
    value = rawHeaders[i + 1];
  }
  return value === undefined ? undefined : readTraceParent(value);
}

function readTraceParent(value: string): TraceContext | undefined {
  const [, version, traceId = '', spanId = '', more] = shape.exec(value) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  return /[^0]/.test(traceId) && /[^0]/.test(spanId) ? { traceId, spanId } : undefined;
}
