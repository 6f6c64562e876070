// Writes responses of the cache. Loaded only with it, so it imports nothing of what each worker loads.
import type { Answer } from '../cache/answer.js';
import type { Headers, PipelineResponse } from './response.js';

type NodeFields = {
  _header: string | null;
  _hasBody: boolean;
  _last: boolean;
  chunkedEncoding: boolean;
  _storeHeader(firstLine: string, headers: Headers | null): void;
};

/** Sends a response of the server: its fields have been checked. */
export function sendAnswer(res: PipelineResponse, { status, message, text, body }: Answer): void {
  res.statusCode = status;
  if (message !== undefined) res.statusMessage = message;
  res.sendDate = status === 416; // the others have the one that is stored
  res.fieldLines = text;
  if (body === undefined) res.end();
  else if (res.reqMethod === 'HEAD') {
    res.fieldLines += `content-length: ${body.length}\r\n`;
    res.end();
  } else if (typeof body === 'string') res.end(body, 'latin1');
  else res.end(body);
}

/** The status line and the fields, as Node has written them. */
export function writtenHead(res: PipelineResponse): string {
  return (res as unknown as NodeFields)._header ?? '';
}

/**
 * Has the response of the app begin with another head, of which nothing has been sent. What the app writes after that is not
 * its body.
 */
export function replaceHead(res: PipelineResponse, { status, message, text, body }: Answer): void {
  const node = res as unknown as NodeFields;
  res.statusCode = status;
  res.statusMessage = message ?? messages[status] ?? '';
  res.sendDate = status === 416;
  res.fieldLines = text;
  // The stages have seen a head.
  res.onHeaders = undefined;
  res.onHead = undefined;
  res.onStored = undefined;
  node._hasBody = body !== undefined && res.reqMethod !== 'HEAD';
  node._header = null;
  node._last = false;
  node.chunkedEncoding = false;
  const headers = body === undefined ? null : ['content-length', String(body.length)];
  node._storeHeader(`HTTP/1.1 ${status} ${res.statusMessage}\r\n`, headers);
}

/** Of the statuses that the cache itself makes. */
const messages: Readonly<Record<number, string>> = {
  206: 'Partial Content',
  304: 'Not Modified',
  416: 'Range Not Satisfiable',
};
