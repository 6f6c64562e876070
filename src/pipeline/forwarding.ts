// What the workers of a route and those that forward requests to them tell each other, in fields that neither app nor client
// sees: the last one of a request that was there before Node added its own, and the first one of a response.
import type { IncomingMessage } from 'node:http';
import { isHeader } from '../http/header.js';
import type { WorkerIdentity } from '../reports/report.js';

const requestField = 'mpserve-request';
const workerField = 'mpserve-worker';

/** Bytes that these fields add to a head, at most. */
export const forwardingBytes = 1024;

/** The private method of Node that sets the fields of a request. */
type Fields = IncomingMessage & { _addHeaderLines(raw: readonly string[], count: number): void };

/** @returns the fields of a request as the client has sent them, with what its worker has to know */
export function sealed({ rawHeaders, httpVersionMinor }: IncomingMessage, reqId: string): readonly string[] {
  return [...rawHeaders, requestField, `${httpVersionMinor} ${reqId}`];
}

/** Makes the request what it was when the client sent it. @returns its id */
export function unseal(req: IncomingMessage): string {
  const { rawHeaders, complete } = req;
  let at = rawHeaders.length - 2;
  while (at >= 0 && !isHeader(rawHeaders[at] as string, requestField)) at -= 2;
  if (at < 0) return ''; // its sender is a worker of this server
  const [minor, reqId = ''] = (rawHeaders[at + 1] as string).split(' ');
  req.httpVersionMinor = Number(minor);
  req.httpVersion = `1.${minor}`;
  rawHeaders.length = at;
  // Node makes them from the raw ones when they are asked for again.
  Object.assign(req, { headers: undefined, headersDistinct: undefined, complete: false });
  (req as Fields)._addHeaderLines(rawHeaders, at);
  req.complete = complete;
  return reqId;
}

/** A line of the head of a response. */
export function workerLine(pid: number, tid: number): string {
  return `${workerField}: ${pid}.${tid}\r\n`;
}

/** Takes its field from those of a response. @returns undefined where there is none */
export function takeWorker(raw: string[]): WorkerIdentity | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    if (!isHeader(raw[i] as string, workerField)) continue;
    const [, value = ''] = raw.splice(i, 2);
    const [pid, tid] = value.split('.').map(Number);
    return { pid: pid as number, tid: tid as number };
  }
  return undefined;
}
